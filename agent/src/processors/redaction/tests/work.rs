//! The work for a text, counted in bytes that are read: it grows no faster than the text.

use super::super::work::bytes_read;
use super::*;

/// Repeated, they invite to read far and in vain.
const HOSTILE: &[&str] = &[
    "4111 ",
    "4",
    "- ",
    "eyJ",
    "eyJaaaaaaaa.",
    "bearer=",
    "basic+",
    "Basic dXNl",
    "://",
    "://a:",
    "@",
    "a@",
    "%40",
    "a.",
    "1.",
    "::",
    "1:",
    "+1",
    "(555)",
    "?",
    "&token",
    "&token=",
    "-----BEGIN ",
    "DE89",
    "A",
    "AKIA",
    "ghp_",
    "<",
    "<x:",
    "ecretAccessKey=",
    "password=[",
    "password=[<key:*>",
    "password=\\",
    "password=\n",
    "password=,",
    "cookie: <key:*> ",
    "cookie: \"",
    "cookie:;",
    "cookie=a;",
    "pwd=''",
    "pwd=''a",
    "authorization: bearer ",
    "secret: \u{1b}[",
    "-----BEGIN PRIVATE KEY-----",
    "<password>",
    "<password><",
    "<password><a>",
    "<password><a>x</a>",
    "<password><![CDATA[",
    "<token><![CDATA[",
    "<token>x",
    "password:</b> ",
    "password</b>: ",
    "password:</",
    "&lt;password&gt;",
    "<a name=\"password\" ",
    "<name>password</name><value>",
    "\"password\",",
    "[\"password\",\"",
    "[\"authorization\",[",
    "[-,\"--cookie\",",
    "token=",
    "token=[",
    "token=\"",
    "token='x ",
    "\\u003cpassword\\u003e",
    "&quot;password&quot;:&quot;",
    "&quot;token&quot;:&quot;x ",
    "password%3D%22",
    "%3Cpassword%3E",
    "(password,",
    "Key (password)=(",
    "(password) VALUES (",
    "name:password,",
    "{\"value\":\"x,\"name\":\"password\"",
    "{value:token,name:token",
    "form-data; name=\"password\"\r\n",
    "form-data; name=\"password\"\r\n\r\n--",
    "password: Secret(",
    "token={",
    "tokens=[a,",
    "secrets={a:",
    "password:\n\"x",
    "token: |\n  ",
    "secrets: |\n  x\n",
    "password '",
    "login x password ",
    "\"password\";s:1:\"",
    "entry 'x' for key 'password",
    "token=\"\"\"",
    "curl -u ",
    "curl -u a: ",
    "@tcp(",
    "a:@tcp(",
    "---- BEGIN SSH2 ",
    "SG.",
    "sk-",
    "/bot1:",
    "1:AA",
    "auth\"",
    "hf_",
    "setPassword(\"",
    "userPassword: {SSHA}",
    "password: {a}{",
    "(password,cookie:;",
    "FieldName:password,",
    "oracle:thin:",
    "hooks.slack.com//",
    "pass=[\"/a\",",
    "token:\r",
    "token:\\r",
    "Password",
    "secrets://name<",
    "=>authorizations:1:",
    "secrets:[a:/",
    "identified by '<",
    "curl ",
    "VALUES ('\\'",
    "(password) VALUES ('\\'",
    "password=[is so ",
    "password=\"is so ",
    "secret: not ",
    "%3A%2F%2F",
    "%3A%2F%2Fa%3Ab",
    "%26token%3D",
    "\\u0026token=",
    "-----BEGIN%20PRIVATE%20KEY-----",
    "LS0tLS1CRUdJTi",
    "\"d\":\"",
    "\"kty\"\"d\":\"abcdefghijabcdefghijab\"",
    "4111&nbsp;",
    "+1555123 ",
    "://a:b c",
    "://a:b@c/",
    "\u{2009}4111",
    "identified by ",
    "alter user identified by ",
    "set password for ",
    "set password for = '",
    "re_abcdef_",
    "ldapsearch -w ",
];

/// The bytes that are read to search a text.
fn work_for(chain: &Chain, text: &str) -> usize {
    let before = bytes_read();
    text_of(chain, text);
    bytes_read() - before
}

#[test]
fn hostile_texts_take_linear_work() {
    const BYTES: usize = 1 << 13;
    const TIMES: usize = 8;
    // What grows with the square of the length is `TIMES` times as much again.
    const GROWTH_MAX: usize = 2 * TIMES;
    let chain = redaction(&format!("{ALL}, patterns: {{own: 'zz+y'}}"));
    for part in HOSTILE {
        for end in ["", "\""] {
            let text = |bytes: usize| format!("{}{end}", part.repeat(bytes / part.len()));
            let small = work_for(&chain, &text(BYTES)) + BYTES;
            let large = work_for(&chain, &text(TIMES * BYTES));
            assert!(
                large < GROWTH_MAX * small,
                "{part:?}: {small} grew to {large}"
            );
        }
    }
}

#[test]
fn work_is_counted() {
    let chain = redaction(ALL);
    assert!(work_for(&chain, &format!("password=\"{}\"", "x".repeat(1000))) >= 1000);
}

#[test]
fn keys_in_texts_that_were_read_often_are_still_found() {
    // As a list in a log may be; only texts made to be read in vain have more.
    let names = "pass: /run/a, pass: /run/b, ".repeat(100);
    let text = format!("{names} passwords=[\"/a\", \"token=abc123def456\"]");
    assert!(!text_of(&redaction(ALL), &text).contains("abc123"));
}
