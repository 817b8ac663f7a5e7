use super::*;

mod written;

fn check(text: &str, expected: &str) {
    let assignments = Assignments::new(&SecretKey::defaults(), |_| false)
        .expect("built")
        .expect("keys");
    let mut covered = text.as_bytes().to_vec();
    assignments.find(text.as_bytes(), &QueryParameters::defaults(), |_, place| {
        covered[place].fill(b'*')
    });
    assert_eq!(String::from_utf8_lossy(&covered), expected, "{text}");
}

/// `~` stands for a secret: what is between the first and the last is covered, and nothing else.
fn covers(text: &str) {
    let (start, end) = (text.find('~').expect("one"), text.rfind('~').expect("one"));
    let middle = text[start..=end].replace('~', "hunter2zz");
    let whole = |middle: &str| format!("{}{middle}{}", &text[..start], &text[end + 1..]);
    check(&whole(&middle), &whole(&"*".repeat(middle.len())));
}

/// What stands between `«` and `»` is covered, and nothing else.
fn covers_marked(text: &str) {
    let (mut plain, mut expected) = (String::new(), String::new());
    let mut is_inside = false;
    for letter in text.chars() {
        match letter {
            '«' | '»' => is_inside = letter == '«',
            _ => {
                plain.push(letter);
                expected.push(if is_inside { '*' } else { letter });
            }
        }
    }
    check(&plain, &expected);
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
    let assignments = Assignments::new(&keys, |_| false)
        .expect("built")
        .expect("keys");
    let found = |text: &str| {
        let mut found = Vec::new();
        assignments.find(text.as_bytes(), &QueryParameters::defaults(), |_, place| {
            found.push(text[place].to_owned())
        });
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

#[test]
fn values_are_found_in_markup() {
    for text in [
        "<user>bob</user><password>«hunter2zz»</password>",
        "<password>\n  «hunter2zz»\n</password>",
        "<wsse:Password Type=\"http://x/#PasswordText\">«hunter2zz»</wsse:Password>",
        "<db.password>«hunter2zz»</db.password>",
        "<ns2:userPassword xmlns:ns2=\"urn:x\">«hunter2 and zz»</ns2:userPassword>",
        "<password><![CDATA[«hunter2<&zz»]]></password>",
        "<password><value>«hunter2zz»</value></password>",
        "<secret><a>«x</a><b>y</b>»</secret><x>1</x>",
        "&lt;password&gt;«hunter2zz»&lt;/password&gt;",
        "&lt;ClientSecret a=&quot;b&quot;&gt;«hunter2zz»&lt;/ClientSecret&gt;",
        r#"{"body":"\u003cpassword\u003e«hunter2zz»\u003c/password\u003e"}"#,
        r#"{"body":"\u003Cpassword\u003E«hunter2zz»\u003C/password\u003E"}"#,
        r#"{"body":"<a>\n<password>«hunter2zz»</password>\n</a>"}"#,
        r#"<add key="ApiKey" value="«hunter2zz»"/>"#,
        r#"<add name="Password" type="string" value='«hunter2zz»' />"#,
        r#"{"m":"<add key=\"ApiKey\" value=\"«hunter2zz»\"/>"}"#,
        r#"<input type="password" name="p" value="«hunter2zz»">"#,
        r#"<property name="db.password" value="«hunter2zz»"/>"#,
        r#"<property name="password">«hunter2zz»</property>"#,
        r#"<entry key="javax.persistence.jdbc.password">«hunter2zz»</entry>"#,
        "<name>fs.s3a.secret.key</name>\n  <value>«hunter2zz»</value>",
        "<key>Password</key>\n\t<string>«hunter2zz»</string>",
        "<tr><td class=\"e\">DB_PASSWORD</td><td class=\"v\">«hunter2zz»</td></tr>",
        "<td>SECRET_KEY</td><td class=\"code\"><pre>«hunter2zz»</pre></td>",
        "key=db.password value=«hunter2zz» by=bob",
        "<b>Password:</b> «hunter2zz» or not",
        "<b>Password</b>: «hunter2zz»",
        "&lt;b&gt;Password:&lt;/b&gt; «hunter2zz»",
        "<var name='password'><string>«hunter2zz»</string></var>",
        "<entry key=\"password\"><![CDATA[«hunter2zz»]]></entry>",
        "<soap><password>«hunter2zz»",
        r#"{"body":"<soap><password>«hunter2zz»","cut":true}"#,
    ] {
        covers_marked(text);
    }
    for text in [
        "usage: login <user> <password> [<secret>]",
        "usage: login <password> where password is one of them",
        "redis://<user>:<password>@<host>/0",
        "<password/><user>bob</user>",
        "<password></password><user>bob</user>",
        "<password xsi:nil=\"true\"/><user>bob</user>",
        "<password><key:*></password>",
        "<label for=\"password\">Your word</label>",
        "<input name=\"password\"><span>Show it</span>",
        "<button name=\"password\">Change it</button>",
        "<a id=\"password\">Forgot?</a>",
        "<authorization><deny users=\"?\"/></authorization>",
        "<h1>Password</h1><p>Reset it here</p>",
        "<div name=\"password\"><p>Show it</p></div>",
        "<add key=\"Theme\" value=\"hunter2zz\"/>",
        "Vec<Secret> is a Vec<Password>",
        "a password > 8 and a secret < 20",
        "&lt;password&gt; is what you type",
        "<tr><th>Password</th><th>Last login</th></tr>",
    ] {
        stays(text);
    }
}

#[test]
fn values_are_found_in_lists_of_headers() {
    for text in [
        r#"["Authorization","«Basic hunter2zz»"]"#,
        r#"[["authorization","«Bearer hunter2zz»"]]"#,
        r#"[["host","a"],["authorization","«hunter2zz»"],["accept","*/*"]]"#,
        r#"{"rawHeaders":["Host","a","Authorization","«token hunter2zz»","Accept","*/*"]}"#,
        r#"["Host","a","X-Api-Key","«hunter2zz12345»","Accept","b"]"#,
        r#"["Host","a","Cookie","«a=hunter2zz; b=c»"]"#,
        r#"{"m":"[\"Authorization\",\"«Basic hunter2zz»\"]"}"#,
        "[(b'host', b'a'), (b'authorization', b'«Basic hunter2zz»')]",
        "[('user', 'bob'), ('password', '«hunter2zz»')]",
        r#"[["user","bob"],["password","«hunter2zz»"]]"#,
        r#"[ "Authorization" , "«Basic hunter2zz»" ]"#,
        r#"[["set-cookie",["«a=hunter2zz»"]],["a","b"]]"#,
    ] {
        covers_marked(text);
    }
    for text in [
        r#"["Authorization","Content-Type","X-Requested-With"]"#,
        r#"{"redact":["authorization","cookie","set-cookie"]}"#,
        r#"["authorization","x-b3-traceid","content-md5"]"#,
        r#"["authorization","*"]"#,
        r#"{"required":["password","name"]}"#,
        r#"{"grant_types":["password","refresh_token"]}"#,
        r#"["password","oauth2"]"#,
        r#"["id","password","created_at","address1"]"#,
        r#"{"type":"password","user":"bob1234x"}"#,
        r#"{"a":"authorization","b":"not for you"}"#,
        r#"["Authorization","<key:*>"]"#,
        "invalid field 'password', 'name' is missing",
    ] {
        stays(text);
    }
}

#[test]
fn values_that_look_like_secrets_are_found_behind_keys_of_more() {
    for text in [
        "token=«hunter2zz12345» user=bob",
        r#"{"token":"«hunter2zz12345»","user":"bob"}"#,
        "X-Vault-Token: «s.hunter2zz12345»",
        "X-Vault-Token:[«hunter2zz12345»]",
        r#"{"X-Gitlab-Token":["«hunter2zz12345»"]}"#,
        "NPM_TOKEN=«npm_hunter2zz123» npm publish",
        "<token>«hunter2zz12345»</token>",
        "login --token «hunter2zz12345» --user bob",
        "AccountName=shop;AccountKey=«hunter2zz1234==»;EndpointSuffix=x",
        "Endpoint=sb://x/;SharedAccessKey=«hunter2zz1234=»",
        r#"["Host","a","X-Vault-Token","«hunter2zz12345»"]"#,
        r#"{"token":"«550e8400-hunter2zz»"}"#,
        "token=Token{token='«hunter2zz12345»'}",
        "token=AccessToken(token=«hunter2zz12345», exp=1)",
        "async_token=«hunter2zz12345»",
        "homepage_token=«hunter2zz12345»",
    ] {
        covers_marked(text);
    }
    check(r#"{"token":"123456"}"#, r#"{"token":"******"}"#);
    for text in [
        "tokens: 512",
        "token=512 max_tokens=4096",
        "max_token=125000",
        "token_type: bearer",
        r#"{"token_type":"bearer","tokens":512,"token":7}"#,
        r#"{"usage":{"prompt_tokens":125000,"completion_tokens":"3500000"}}"#,
        "Unexpected token: hunter2zz1",
        r#"SyntaxError: Unexpected token '<', "<!DOCTYPE "... is not valid JSON"#,
        r#"{"nextPageToken":"hunter2zz123","page_token":"hunter2zz123"}"#,
        "token: IDENTIFIER at 12:34",
        "token=expired user=bob",
        "token: user-service-v2",
        "token: com.shop.auth.TokenProvider2",
        "access_key=primary",
        "token=[<key:*>]",
        r#"{"token":"<jwt:*>"}"#,
        "token: [] token={} token=",
    ] {
        stays(text);
    }
}
