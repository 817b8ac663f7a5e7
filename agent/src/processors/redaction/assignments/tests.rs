use super::*;

fn check(text: &str, expected: &str) {
    let keys = super::super::KEYS_DEFAULT.map(SecretKey::new);
    let assignments = Assignments::new(&keys).expect("built").expect("keys");
    let mut covered = text.as_bytes().to_vec();
    assignments.find(text.as_bytes(), |place| covered[place].fill(b'*'));
    assert_eq!(String::from_utf8_lossy(&covered), expected, "{text}");
}

/// `~` stands for a secret: what is between the first and the last is covered, and nothing else.
fn covers(text: &str) {
    let (start, end) = (text.find('~').expect("one"), text.rfind('~').expect("one"));
    let middle = text[start..=end].replace('~', "hunter2zz");
    let whole = |middle: &str| format!("{}{middle}{}", &text[..start], &text[end + 1..]);
    check(&whole(&middle), &whole(&"*".repeat(middle.len())));
}

fn stays(text: &str) {
    check(text, text);
}

#[test]
fn values_of_keys_are_found_however_they_are_written() {
    check(
        "level=info password=hunter2 user=bob",
        "level=info password=******* user=bob",
    );
    check(
        r#"{"password":"hunter2","user":"bob"}"#,
        r#"{"password":"*******","user":"bob"}"#,
    );
    check(
        r#"{"password": "a \" b","x":1}"#,
        r#"{"password": "******","x":1}"#,
    );
    check(
        r#"{"in":"{\"password\":\"hunter2\",\"x\":1}"}"#,
        r#"{"in":"{\"password\":\"*******\",\"x\":1}"}"#,
    );
    check("Api-Key: abc, next", "Api-Key: ***, next");
    check(
        "authorization: Bearer abc.def ok",
        "authorization: Bearer **********",
    );
    check(
        "login failed PASSWORD='a b' for bob",
        "login failed PASSWORD='***' for bob",
    );
    check("password=>x", "password=>*");
    check("db.password=x db_password=y", "db.password=* db_password=*");
    check(
        "password reset asked for, nopassword=1",
        "password reset asked for, nopassword=1",
    );
    check(
        r#"{"password":null,"api_key":""}"#,
        r#"{"password":null,"api_key":""}"#,
    );
    check("password=<key:*>", "password=<key:*>");
    check("password=", "password=");
}

#[test]
fn headers_go_to_the_end_of_the_line_or_of_the_quoted_text() {
    for text in [
        "Cookie: ~=b; sid=~; c=~",
        "Cookie: ~=b; sid=~\r\nHost: x",
        "GET /\nSet-Cookie: ~=~; Path=/~\nHost: x",
        "cookie:~=a,~;x=~",
        r#"{"headers":"Cookie: ~=b; sid=~","user":"bob"}"#,
        r#"{"raw":"Cookie: ~=b; sid=~\r\nHost: x"}"#,
        r#"{"in":"{\"Cookie\": \"~=b; sid=~\", \"x\":1}"}"#,
        r#"{"Cookie":"~=b; sid=~","x":"y"}"#,
        r#"curl -H "Cookie: ~=b; sid=~" https://x"#,
        "curl -H 'Cookie: ~=b; sid=~' https://x",
        r#"Cookie: ~="b"; sid=~"#,
        r#"Cookie: "~"; sid=~"#,
        "cookie=~=b; sid=~ user=bob",
        r#"Authorization: Digest ~="Mufasa", realm="x y", response=~"#,
        r#"{"m":"Authorization: Digest ~=\"Mufasa\", response=~","x":1}"#,
        "Authorization: Bearer ~ ~",
        "Proxy-Authorization: Basic ~",
        "authorization=Bearer ~ user=bob",
    ] {
        covers(text);
    }
    stays(r#"{"cookie":null,"user":"bob"}"#);
    stays("Cookie: <key:*>");
    stays("Authorization: Bearer <bearer:*>");
    stays("cookie jar: a=b; sid=c");
}

#[test]
fn what_stands_around_a_value_does_not_hide_it() {
    for text in [
        "password:\t~",
        "password\t=\t\t~ x",
        r"password:\t~\n",
        "password                 :          ~",
        "password=\u{1b}[31m~\u{1b}[0m done",
        "\u{1b}[1;33mpassword\u{1b}[0m=\u{1b}[31m~\u{1b}[0m",
        r#"{"m":"\u001b[36mpassword=\u001b[0m~\u001b[0m x"}"#,
        r#"{"m":"a\npassword=~\nb"}"#,
        r#""password" : [ "~" ]"#,
        r#"{"password":["~","~"],"user":"bob"}"#,
        r#"{"m":"{\"password\":[\"~\"],\"x\":1}"}"#,
        r#"{"password":{"~":["}~]"],"y":"~"},"user":1}"#,
        "password=[~ ~] user=bob",
        "Error: password=\n    ~",
        "Password:\r\n~\r\nLast login",
        "password=~,~",
        "password=~|~|~ user=bob",
        r"password=~\~ user=bob",
        "password=~,user=bob",
        "password=~,user:bob",
        r#"{password=~,"user":"bob"}"#,
        "password=~, next",
        "(password=~) password reset",
        "pwd='~''s ~' and x='y'",
        "exec('login pwd=''~''')",
        r#""{""password"":""~"",""x"":1}""#,
        "password:=~",
    ] {
        covers(text);
    }
    for text in [
        "invalid password:\n    at com.shop.Login(Login.java:3)",
        "password:\n  min: 8",
        "pwd='' user='it''s me'",
        r#"{"password":[],"secret":{},"pwd":""}"#,
        r#"<a password=""/><b c="d"/>"#,
        "password=[<key:*>] x",
        r#"{"password":["<key:*>"]}"#,
    ] {
        stays(text);
    }
    check("password=<hunter2zz> x", "password=*********** x");
}

#[test]
fn keys_are_found_as_the_last_words_of_names() {
    for text in [
        "clientSecret=~ x",
        "accessToken: ~ x",
        "dbPassword: ~ x",
        "DBPassword=~ x",
        "userPassword=~ x",
        r#""secretKey":"~","a":1"#,
        "password.value=~ x",
        "passwordValue=~ x",
        "spring.datasource.password=~ x",
        "PGPASSWORD=~ psql",
        "MYSQL_ROOT_PASSWORD=~ x",
        "user[password]=~&x=1",
        "X-API-Key: ~",
        "sessionToken=~ x",
    ] {
        covers(text);
    }
    for text in [
        "token_count=5 max_tokens=7 secretary=bob passwordless=yes",
        "validToken=1 accessTokens=3 passwordHint=dog secretName=x",
        "password_policy=strict secret_name: db-creds cookies: 3",
        "nopassword=1 keyboard=us apikeys: 4",
    ] {
        stays(text);
    }
}

#[test]
fn values_of_options_are_found() {
    covers("running mysqldump --password ~~ --user root");
    covers("cmd: ./backup --db-password ~~");
    covers("--password \"~ and more~\" --host db");
    covers(r#"{"args":["--user","bob","--client-secret","~~","-v"]}"#);
    covers(r#"{"args":["--password", "~~"]}"#);
    covers(r#"{"line":"{\"args\":[\"--password\",\"~~\"]}"}"#);
    covers("Command: ['--password', '~~']");
    for text in [
        "use --password to log in",
        "the option --password is required",
        "error: --password requires a value",
        "usage: x --password <value> --user <name>",
        "run x --password $DB_PASSWORD",
        "run x --password --user bob",
        "--password, --user and --host",
        "--password",
        "--passwordless login",
        "a new password was set - password reset done",
        r#"["--no-password-hint","x"]"#,
        r#"{"required":["password","name"]}"#,
        r#"["password","secret","bob"]"#,
    ] {
        stays(text);
    }
}

#[test]
fn values_of_pairs_are_found() {
    covers(r#"{"name":"authorization","value":"~~"}"#);
    covers(r#"[{"name": "X-Api-Key", "value": "~~"}, {"name": "accept", "value": "*/*"}]"#);
    covers(r#"{"m":"[{\"name\":\"cookie\",\"value\":\"~~\"}]"}"#);
    covers("{'key': 'password', 'value': '~~'}");
    stays(r#"{"name":"accept","value":"hunter2zz"}"#);
    stays(r#"{"name":"password","values":"hunter2zz"}"#);
    stays(r#"{"name":"password","value":null}"#);
    stays(r#"{"name":"password","value"}"#);
    stays(r#"{"name":"authorization","value":"<key:*>"}"#);
}

#[test]
fn own_keys_are_whole_names_in_text_too() {
    let keys = [SecretKey::new("id")];
    let assignments = Assignments::new(&keys).expect("built").expect("keys");
    let found = |text: &str| {
        let mut found = Vec::new();
        assignments.find(text.as_bytes(), |place| found.push(text[place].to_owned()));
        found
    };
    assert_eq!(found("id=1 user.id=2 \"id\":3"), ["1", "2", "3"]);
    assert_eq!(found("trace_id=1 userId=2 span-id=3 ids=4"), [""; 0]);
    assert_eq!(found("a\\nid=7"), ["7"]);
}

#[test]
fn values_are_found_in_what_languages_and_attackers_write() {
    for text in [
        r#"Login { user: "a", password: Some("~") }"#,
        "Login { password: Some(~) }",
        "{'user': 'a', 'password': b'~'}",
        r#"{'password': b"~ ~", 'x': 1}"#,
        "password=r'~'",
        "password=\x01~",
        "password=\0\x0b~ next",
        "password: \x7f\x0c~",
        "password=~\x01~ next",
        "apiToken: ~",
        "SUPABASE_SERVICE_ROLE_KEY: ~",
        r#"{"csrf_token":"~"}"#,
    ] {
        covers(text);
    }
    check(
        r#"{"h":[{"Key":"X-Api-Key","Value":"abc"},{"Name":"Set-Cookie","Value":"sid=1"}]}"#,
        r#"{"h":[{"Key":"X-Api-Key","Value":"***"},{"Name":"Set-Cookie","Value":"*****"}]}"#,
    );
    for text in ["token: 5", "unexpected token: x", "maxTokens=7"] {
        stays(text);
    }
}
