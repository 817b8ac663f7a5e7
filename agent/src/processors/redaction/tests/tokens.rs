//! Tokens of services by their heads, and secrets on command lines.

use super::*;

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const HEX: &str = "0123456789abcdef";

fn hex(head: &str, length: usize) -> String {
    let tail: String = HEX.chars().cycle().take(length).collect();
    format!("{head}{tail}")
}

#[test]
fn tokens_of_services_go_wherever_they_stand() {
    let tokens = [
        key("npm_", 36),
        format!("{}.{}", key("SG.", 22), key("", 43)),
        key("hvs.CAESI", 30),
        key("hvb.AAAA", 120),
        key("hf_", 34),
        key("pypi-AgEIcHlwaS5vcmc", 60),
        hex("dop_v1_", 64),
        key("cfut_", 48),
        key("vcp_", 24),
        hex("shpat_", 32),
        key("dckr_pat_", 27),
        key("glsa_", 40),
        hex("SK", 32),
        hex("dapi", 32),
        hex("key-", 32),
        format!("AGE-SECRET-KEY-1{LETTERS}{LETTERS}ABCDEF"),
        key("123456789:AA", 33),
    ];
    for token in tokens {
        check(&format!("got {token}, and"), "got <service_token:*>, and");
        check(&format!("\"{token}\""), "\"<service_token:*>\"");
        check(&format!("x\\n{token}\\n"), "x\\n<service_token:*>\\n");
    }
    for token in [
        key("sk-ant-api03-", 90),
        key("sk-svcacct-", 48),
        key("sk-", 48),
        hex("sk-or-v1-", 64),
    ] {
        check(&format!("got {token}, and"), "got <openai:*>, and");
    }
    for token in [key("xapp-1-A0-", 60), key("xoxe.xoxp-1-", 60)] {
        check(&format!("got {token}, and"), "got <slack:*>, and");
    }
    for head in ["glrt-", "gldt-", "glptt-", "glcbt-"] {
        let token = key(head, 20);
        check(&format!("got {token}, and"), "got <gitlab:*>, and");
    }
}

#[test]
fn what_only_begins_like_a_token_stays() {
    for text in [
        "npm_config_registry=https://x npm_lifecycle_event=build npm_package_version",
        "hf_hub_download SG.Something hvs.ok dop_v1_short",
        "task-queue-runner-for-things disk-usage-monitor-for-node-12 ask-me-anything-about-it",
        "sk-loading-indicator-container-for-the-page",
        "basket skate asked risk task0123456789abcdef0123456789abcdef",
        "at 12:aa:bb:cc:dd:ee or 00:AA:11 with key-value pairs",
        "/bots/list /bot123/x robot",
        "monkey-0123456789abcdef0123456789abcdef",
    ] {
        stays(text);
    }
    stays(&hex("npm_", 20));
    stays(&hex("SK", 40));
}

#[test]
fn hooks_go_from_their_secret_part_on() {
    let part = key("", 24);
    check(
        &format!("POST https://hooks.slack.com/services/T00/B00/{part} 200"),
        "POST https://hooks.slack.com/services/<slack:*> 200",
    );
    let long = key("", 68);
    check(
        &format!("https://discord.com/api/webhooks/1234567890/{long}?wait=true"),
        "https://discord.com/api/webhooks/1234567890/<service_token:*>?wait=true",
    );
    let token = key("123456789:", 35);
    check(
        &format!("https://api.telegram.org/bot{token}/sendMessage"),
        "https://api.telegram.org/bot<service_token:*>/sendMessage",
    );
    stays("https://hooks.slack.com/docs https://discord.com/api/webhooks/1234567890");
}

#[test]
fn keys_in_other_formats_go() {
    let dashes = "----";
    check(
        &format!(
            "a\n{dashes} BEGIN SSH2 ENCRYPTED PRIVATE KEY {dashes}\nMIIE\n{dashes} END SSH2 ENCRYPTED PRIVATE KEY {dashes}\nb"
        ),
        "a\n<private_key:*>\nb",
    );
    stays(&format!(
        "{dashes} BEGIN SSH2 PUBLIC KEY {dashes}\nAAAA\n{dashes} END SSH2 PUBLIC KEY {dashes}"
    ));
    let head = "PuTTY-User-Key-File-";
    check(
        &format!(
            "a {head}3: ssh-ed25519\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\nBBBB\nPrivate-MAC: 0123ab\nb"
        ),
        "a <private_key:*>\nb",
    );
    check("Private-Lines: 14\nAAAA", "<private_key:*>");
}

#[test]
fn credentials_of_clients_go() {
    for (text, expected) in [
        (
            "me:hunter2@tcp(db:3306)/shop",
            "<basic:*>@tcp(db:3306)/shop",
        ),
        (
            "dsn=\"me:hun:t@er2@unix(/tmp/s)/x\"",
            "dsn=\"<basic:*>@unix(/tmp/s)/x\"",
        ),
        (
            "curl -s -u bob:hunter2 https://x",
            "curl -s -u bob:<basic:*> https://x",
        ),
        (
            "curl --user 'bob:hun ter2' x",
            "curl --user 'bob:<basic:*>' x",
        ),
        ("curl -ubob:hunter2 x", "curl -ubob:<basic:*> x"),
        ("curl --user=bob:hunter2 x", "curl --user=bob:<basic:*> x"),
        (
            "[\"curl\",\"-u\",\"bob:hunter2\",\"x\"]",
            "[\"curl\",\"-u\",\"bob:<basic:*>\",\"x\"]",
        ),
        ("mysql -uroot -phunter2 db", "mysql -uroot -p<basic:*> db"),
        ("sshpass -p hunter2 ssh x", "sshpass -p <basic:*> ssh x"),
        (
            "redis-cli -h x -a hunter2 ping",
            "redis-cli -h x -a <basic:*> ping",
        ),
        (
            "docker login -u bob -p hunter2",
            "docker login -u bob -p <basic:*>",
        ),
        ("requirepass hunter2", "requirepass <basic:*>"),
        (
            "jdbc:oracle:thin:scott/hunter2@db:1521",
            "jdbc:oracle:thin:scott/<basic:*>@db:1521",
        ),
        (
            "CREATE USER b IDENTIFIED BY 'hunter2'",
            "CREATE USER b IDENTIFIED BY '<basic:*>'",
        ),
        (
            "{\"auths\":{\"r\":{\"auth\":\"Ym9iOmh1bnRlcjI=\"}}}",
            "{\"auths\":{\"r\":{\"auth\":\"<basic:*>\"}}}",
        ),
        (
            "{\"m\":\"{\\\"auth\\\": \\\"Ym9iOmh1bnRlcjI=\\\"}\"}",
            "{\"m\":\"{\\\"auth\\\": \\\"<basic:*>\\\"}\"}",
        ),
    ] {
        check(text, expected);
    }
    for text in [
        "docker run -u 1000:1000 --user 1000:1000 image",
        "curl -s https://shop.example/x | sort -u a:b",
        "curl -u \"$USER:$PASS\" https://shop.example",
        "curl -u $USER https://shop.example",
        "mysql -u root -p db",
        "mysql is up, sshpass is not installed",
        "{\"auth\":\"none\"} {\"auth\":\"oauth2\"} {\"auth\": true}",
        "dial @tcp(db:3306)",
    ] {
        stays(text);
    }
}

#[test]
fn heads_are_searched_for_the_detectors_that_are_on() {
    let token = key("npm_", 36);
    let text = format!("got {token}");
    let off = redaction("detect: [jwt]");
    assert_eq!(text_of(&off, &text), text);
    let on = redaction("detect: [service_token], keys: []");
    assert_eq!(text_of(&on, &text), "got <service_token:*>");
}

#[test]
fn judged_values_end_at_what_no_token_has() {
    let chain = redaction(ALL);
    let token = "/kSu0iwRU/iAuIx8IMKSlEymwQw/t3W4Jcg15CHlr7S=";
    for end in [
        "",
        "</td>",
        "失败",
        "`",
        "\0b",
        "\\r\\n",
        "\\\\r\\\\n",
        "; x",
    ] {
        for key in ["SharedAccessKey", "AccountKey", "encryption_key", "token"] {
            assert_eq!(
                text_of(&chain, &format!("a {key}={token}{end}")),
                format!("a {key}=<key:*>{end}"),
            );
        }
    }
}

#[test]
fn more_tokens_go_wherever_they_stand() {
    for token in [
        key("sntrys_eyJ", 50),
        hex("sntryu_", 64),
        key("phx_", 43),
        format!("{}_{}", key("re_", 8), key("", 24)),
        key("1//0", 60),
        key("nvapi-", 64),
        key("ops_eyJ", 60),
        key("CFPAT-", 43),
        key("GR1348941", 20),
        key("xoxc-123456789012-", 24),
        format!("{}%2F{}", key("xoxd-", 24), key("", 8)),
    ] {
        let found = text_of(&redaction(ALL), &format!("a {token} b"));
        assert!(
            found.ends_with(":*> b") && found.starts_with("a <"),
            "{token}: {found}"
        );
    }
    for text in [
        "store_abcdef12_0123456789abcdef01",
        "re_entrant_function_names_here",
        "ops_team",
    ] {
        stays(text);
    }
}

#[test]
fn private_parts_of_keys_in_json() {
    let part = key("", 32);
    check(
        &format!("{{\"kty\":\"RSA\",\"n\":\"{part}\",\"d\":\"{part}\",\"dp\": \"{part}\"}}"),
        &format!(
            "{{\"kty\":\"RSA\",\"n\":\"{part}\",\"d\":\"<private_key:*>\",\"dp\": \"<private_key:*>\"}}"
        ),
    );
    stays(&format!("{{\"d\":\"{part}\"}}"));
}

#[test]
fn passwords_in_statements_and_on_more_command_lines() {
    for (text, expected) in [
        (
            "ALTER USER a IDENTIFIED BY tiger1;",
            "ALTER USER a IDENTIFIED BY <basic:*>;",
        ),
        (
            "SET PASSWORD FOR 'app'@'%' = 'x1'",
            "SET PASSWORD FOR 'app'@'%' = '<basic:*>'",
        ),
        (
            "SET PASSWORD FOR a = PASSWORD('x1')",
            "SET PASSWORD FOR a = PASSWORD('<basic:*>')",
        ),
        (
            "ALTER USER a PASSWORD \"x1\";",
            "ALTER USER a PASSWORD \"<key:*>\";",
        ),
        (
            "ldapsearch -x -D cn=a -w x1 -b o=b",
            "ldapsearch -x -D cn=a -w <basic:*> -b o=b",
        ),
        (
            "az login --service-principal -u a -p x1",
            "az login --service-principal -u a -p <basic:*>",
        ),
        (
            "//npm.example/:_auth=dXNlcjpwYXNzd29yZDE=",
            "//npm.example/:_auth=<basic:*>",
        ),
        ("contrase\u{f1}a: x1", "contrase\u{f1}a: <key:*>"),
        ("mot de passe : x1", "mot de passe : <key:*>"),
    ] {
        check(text, expected);
    }
    let token = key("", 30);
    for name in [
        "STRIPE_KEY",
        "OPENAI_KEY",
        "SUPABASE_KEY",
        "Ocp-Apim-Subscription-Key",
    ] {
        check(&format!("a {name}={token}"), &format!("a {name}=<key:*>"));
    }
    for text in [
        "users are identified by name",
        "set password for a new account",
        "x_auth=none",
        "the field password \"is required\"",
    ] {
        stays(text);
    }
}
