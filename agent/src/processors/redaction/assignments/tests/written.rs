//! Values as languages, databases and forms write them.

use super::{covers_marked, stays};

#[test]
fn prefixes_and_wrappers_do_not_hide_a_value() {
    for text in [
        "password = N'«hunter2 zz»', x",
        "password: E'«hunter2»'",
        "password = @\"«hunter2 zz»\";",
        "password = $@\"«hunter2 zz»\";",
        "'password': b'«hunter2»', x",
        "x password=r\"«hunter2»\" x",
        "x password=r#\"«hunter2 zz»\"# x",
        "'password': u'«hunter2»'",
        "password: Secret(\"«hunter2 zz»\")",
        "password: SecretString(\"«hunter2 zz»\"), user: 1",
        "password: Some(String(\"«hunter2 zz»\"))",
        "Password:sql.NullString{String:\"«hunter2 zz»\", Valid:true}",
        "password: new Secret('«hunter2 zz»')",
        "password: Secret<String>(\"«hunter2 zz»\")",
        "password: secret!(\"«hunter2 zz»\")",
        "array(2) { [\"password\"]=> string(7) \"«hunter2»\" }",
        "[\"password\"]=>\n  string(7) \"«hunter2»\"\n",
        "password = \"\"\"«hunter2 \"zz\" a»\"\"\" x",
        "password: `«hunter2 zz»`",
        r#"{"m":"password: Secret(\"«hunter2 zz»\")"}"#,
    ] {
        covers_marked(text);
    }
    for text in [
        "password: Secret([REDACTED alloc::string::String])"
            .replace(
                "Secret([REDACTED alloc::string::String])",
                "Secret(\"<key:*>\")",
            )
            .as_str(),
        "password: Some(\"<key:*>\")",
        "password: None",
    ] {
        stays(text);
    }
}

#[test]
fn keys_are_found_in_quotes_of_all_kinds() {
    for text in [
        "`password`: '«hunter2»'",
        "UPDATE users SET `password` = '«hunter2»' WHERE `id` = 1",
        "x [password] = '«hunter2»'",
        "password == \"«hunter2»\"",
        "password === '«hunter2»'",
        "&quot;password&quot;:&quot;«hunter2»&quot;,&quot;x&quot;:1",
        "{&#34;password&#34;:&#34;«hunter2»&#34;,&#34;x&#34;:1}",
        "{&#39;password&#39;: &#39;«hunter2»&#39;, &#39;x&#39;: 1}",
        "{&#x27;password&#x27;: &#x27;«hunter2»&#x27;}",
        "&amp;quot;password&amp;quot;:&amp;quot;«hunter2»&amp;quot;,",
        "%7B%22password%22%3A%22«hunter2»%22%2C%22x%22%3A1%7D",
        r#"{"m":"{\u0022password\u0022:\u0022«hunter2»\u0022,\u0022x\u0022:1}"}"#,
        r#"{"m":"x password\u003d«hunter2»"}"#,
        "x password%3D«hunter2» y",
        "Map(user -> bob, password -> «hunter2»)",
        "{:password \"«hunter2»\" :user \"bob\"}",
    ] {
        covers_marked(text);
    }
    for text in [
        "`password` is required, use `name` instead",
        "&quot;password&quot; is required",
        "&quot;password&quot;:&quot;<key:*>&quot;,&quot;x&quot;:1",
        "password -> see the page",
    ] {
        stays(text);
    }
}

#[test]
fn values_are_found_beside_their_names() {
    for text in [
        "{ name: 'password', value: '«hunter2»' }",
        "{ key: 'API_KEY', value: '«hunter2»' }, { key: 'x', value: 'y' }",
        "{Name:DB_PASSWORD Value:«hunter2»} {Name:X Value:y}",
        "EnvVar { name: \"DB_PASSWORD\", value: Some(\"«hunter2»\") }",
        r#"[{"name":"DB_PASSWORD","value":"«hunter2»"},{"name":"x","value":"y"}]"#,
        r#"{"name":"DB_PASSWORD","type":"env","value":"«hunter2»"}"#,
        r#"{"key":"db.password","value":{"«stringValue":"hunter2»"}}"#,
        "{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": \"«hunter2»\"\n}",
        "- name: DB_PASSWORD\n  value: «hunter2»\n- name: X\n  value: y",
        "['name' => 'password', 'value' => '«hunter2»']",
        r#"{"value":"«hunter2»","name":"DB_PASSWORD"}"#,
        r#"<add value="«hunter2»" key="ApiKey"/>"#,
        "x name=DB_PASSWORD&value=«hunter2»&y=1",
    ] {
        covers_marked(text);
    }
    for text in [
        "- name: DB_PASSWORD\n  valueFrom: x\n- name: X\n  value: y",
        r#"{"name":"password","in":"query"},{"name":"x","value":"plain"}"#,
        r#"<input name="password" type="password"><input name="x" value="plain">"#,
        r#"{"name":"password","type":"string","required":true,"value":null}"#,
        r#"{"value":"plain","name":"x"},{"name":"password"}"#,
        r#"{"name":"password_hint","value":"the dog"}"#,
        "username: password, value: x",
        r#"{"value":"<key:*>","name":"DB_PASSWORD"}"#,
    ] {
        stays(text);
    }
}

#[test]
fn values_of_headers_in_turns_are_found() {
    for text in [
        "rawHeaders: [\n  'Host',\n  'localhost',\n  'Authorization',\n  'Basic abc',\n  'Accept',\n  '*/*'\n]"
            .replace("Basic abc", "«Basic abc»"),
        "rawHeaders: [\n  'Host',          'localhost',\n  'X-Api-Key',     '«hunter»',\n  'Accept',        '*/*' ]"
            .to_owned(),
        r#"{"rawHeaders":["Host","a","X-Api-Key","«hunter»","Accept","*/*"]}"#.to_owned(),
        r#"{"m":"rawHeaders: [\n  'Host',\n  'a',\n  'Cookie',\n  '«a=b»'\n]"}"#.to_owned(),
        "[\n  'Host',\n  'localhost',\n  'Authorization',\n  '«Basic abc»'\n]".to_owned(),
    ] {
        covers_marked(&text);
    }
    for text in [
        "rawHeaders: [ 'Host', 'a', 'Accept', '*/*' ]",
        "rawHeaders: ['a', 'b'], names: ['X-Api-Key', 'Accept', 'Host']",
        "[\n  'Authorization',\n  'Accept'\n]",
    ] {
        stays(text);
    }
}

#[test]
fn headers_in_maps_without_quotes_end_with_their_item() {
    for text in [
        "{host: x, authorization: Basic «abc», via: [a, a]}",
        "{host: x, cookie: «a=b; c=d», via: [a, a]}",
        "[cookie: «a=b»]",
    ] {
        covers_marked(text);
    }
    covers_marked("Authorization: Digest «a=\"b\", via: [a, a]»");
    stays("via: [a, a]");
    stays(r#"{"via":["a","a"]}"#);
}

#[test]
fn values_on_the_next_line_are_found() {
    for text in [
        "{\"password\":\n  \"«hunter2»\",\n \"x\":1}",
        "password:\n    '«hunter2 zz»'\n",
        "password:\r\n  \"«hunter2»\"\r\n",
        r#"{"m":"{\n\"password\":\n  \"«hunter2»\",\n"}"#,
        "password: |\n  «hunter2\n  zz»\nx: 1",
        "password: >-\n    «hunter2»\n",
    ] {
        covers_marked(text);
    }
    for text in [
        "invalid password:\n\"bob\" is not known",
        "password: |\n  <key:*>\nx: 1",
        "password: |\nx: 1",
        "password:\n  <key:*>\n",
    ] {
        stays(text);
    }
}

#[test]
fn values_in_escaped_markup_are_found() {
    for text in [
        "%3Cpassword%3E«hunter2»%3C%2Fpassword%3E",
        "%3cpassword%3e«hunter2»%3c%2fpassword%3e",
        r"\x3cpassword\x3e«hunter2»\x3c/password\x3e",
        "&#60;password&#62;«hunter2»&#60;/password&#62;",
        "&#x3c;password&#x3e;«hunter2»&#x3c;/password&#x3e;",
        r#"{"x":"<password>«hunter2»<\/password>"}"#,
        r"\u003cdb_password\u003e«hunter2»\u003c/db_password\u003e",
        "<td>Password</td><td>«hunter2zz»</td>",
        "<td>DB_PASSWORD</td><td>«Hunter»</td>",
    ] {
        covers_marked(text);
    }
    for text in [
        "usage: login %3Cuser%3E %3Cpassword%3E",
        "<td>Password</td><td>Reset</td>",
        "<td>Password</td><td>Change it here</td>",
        "<dt>Password</dt><dd>Required</dd>",
    ] {
        stays(text);
    }
}

#[test]
fn values_of_columns_are_found() {
    for text in [
        "DETAIL:  Key (api_key)=(«hunter2») already exists.",
        "DETAIL:  Key (email, password)=(a@b, «hunter2») already exists.",
        "DETAIL:  Key (password, email)=(«hunter2», a@b) is not present in table \"x\".",
        "DETAIL:  Key (lower(password::text))=(«hunter2») already exists.",
        "DETAIL:  Key (id, lower(password), x)=(1, «hunter2», 2) already exists.",
        "INSERT INTO users(name,password) VALUES('bob','«hunter2»')",
        "DETAIL:  Key (email, password)=(«a, b, hunter2») already exists.",
        r#"{"detail":"Key (api_key)=(«hunter2») already exists."}"#,
        "INSERT INTO users (name, password, x) VALUES ('bob', '«hunter2»', 3)",
        "INSERT INTO `users` (`name`, `password`) VALUES ('b,o(b', '«hunter2»')",
        "insert into \"users\" (\"password\", \"name\")\nvalues ('«hunter2»', 'bob')",
        "INSERT INTO users (password, x) VALUES ('«it''s»', 3)",
        "INSERT INTO users (name, password) VALUES ('bob', '«hunter2'), ('al', 'hunter3»')",
        "INSERT INTO users (name, password) VALUES ('bob', «'hunt»",
        r"INSERT INTO users (name, password) VALUES ('O\'Brien', '«hunter2»')",
        r"INSERT INTO users (name, password) VALUES ('O\\'Brien', '«hunter2»')",
        r"INSERT INTO users (name, password) VALUES ('C:\', '«hunter2»')",
        r"INSERT INTO users (name, password) VALUES ('C:\\', '«hunter2»')",
        r"INSERT INTO users (a, b, password) VALUES ('O\'B', 'C:\\', '«hunter2»')",
        r"INSERT INTO users (name, password, x) VALUES ('a\', b', '«hunter2»', 3)",
        r"INSERT INTO users (name, password) VALUES ('a\'b', '«hunter2'), ('al', 'hunter3»')",
        r"INSERT INTO users (password, name) VALUES ('«hun\'ter2»', 'bob')",
        "Duplicate entry '«hunter2»' for key 'users.api_key'",
        "ALTER USER bob WITH PASSWORD '«hunter2»';",
        "s:4:\"user\";s:3:\"bob\";s:8:\"password\";s:7:\"«hunter2»\";",
        "machine x login bob password «hunter2»",
        "ENV DB_PASSWORD «hunter2»",
    ] {
        covers_marked(text);
    }
    for text in [
        "Key (id, email)=(5, a@b) already exists.",
        "INSERT INTO users (name, password) VALUES ($1, $2)",
        "INSERT INTO users (name, password) VALUES (?, ?)",
        "INSERT INTO users (name, password) VALUES ('bob', '<key:*>')",
        "INSERT INTO users (name, password) VALUES ('bob', NULL)",
        "Key (api_key)=(<key:*>) already exists.",
        "the columns (id, password) exist",
        "Duplicate entry '5' for key 'users.id'",
        "the password 'must have a digit'",
        "login form password field missing",
        "ENV DB_PASSWORD is not set",
    ] {
        stays(text);
    }
}

#[test]
fn values_in_calls_and_directories_are_found() {
    for text in [
        "builder.setPassword(\"«hunter2»\")",
        "Login(Password(\"«hunter2»\"), 1)",
        "x.withApiKey('«hunter2»')",
        "userPassword:: «aHVudGVyMg==»",
        "userPassword: «{SSHA}aHVudGVyMg==» x",
        r#"{"ParameterKey":"DBPassword","ParameterValue":"«hunter2»"}"#,
        "password：«hunter2» x",
        "senha=«hunter2» x",
        "pw=«hunter2» x",
    ] {
        covers_marked(text);
    }
    for text in [
        "getSecret(\"db-creds\")",
        "function Password(props)",
        "Secret(\"<key:*>\")",
        "shop::secret::Store: opened",
        "pw=12 ParameterKey: x",
    ] {
        stays(text);
    }
}

#[test]
fn values_of_form_parts_are_found() {
    for text in [
        "Content-Disposition: form-data; name=\"password\"\r\n\r\n«hunter2»\r\n--boundary\r\n",
        "Content-Disposition: form-data; name=\"password\"\n\n«hunter2\nzz»\n--boundary--",
        "content-disposition: form-data; name=\"api_key\"\r\nContent-Type: text/plain\r\n\r\n«hunter2»\r\n--b",
        r#"{"m":"Content-Disposition: form-data; name=\"password\"\r\n\r\n«hunter2»\r\n--b\r\n"}"#,
        r#"{"m":"Content-Disposition: form-data; name=\"password\"\r\n\r\n«hunter2»"}"#,
    ] {
        covers_marked(text);
    }
    for text in [
        "Content-Disposition: form-data; name=\"user\"\r\n\r\nbob\r\n--boundary",
        "Content-Disposition: form-data; name=\"password\"\r\n\r\n--boundary",
        "Content-Disposition: form-data; name=\"password\"\r\n\r\n<key:*>\r\n--boundary",
    ] {
        stays(text);
    }
}

#[test]
fn other_names_of_passwords_are_found() {
    for text in [
        "DB_PASS=«hunter2» x",
        "db_pass: «hunter2»",
        "smtpPass=«hunter2»",
        "pass=«hunter2» user=bob",
        r#"{"pass":"«hunter2»","n":1}"#,
        r#"{"user":"bob","pass":"«123456»"}"#,
        "password_confirmation=«hunter2»",
        r#"{"passwordConfirm":"«hunter2»","password1":"«a»","password2":"«b»"}"#,
        "password_2=«hunter2»",
        r#"passwords: ["«hunter2","hunter3»"]"#,
        r#"{"tokens":["«abc123def456","abc123def457»"]}"#,
        r#"{"secrets":{"«db":"hunter2»"}}"#,
        r#"{"apiKeys":["«hunter2»"]}"#,
        r#"{"token":{"«value":"abc123def456»"}}"#,
        "keytool -storepass «hunter2» -keypass «hunter3»",
        "passphrase=«hunter2»",
        "SECRET_KEY_BASE=«hunter2»",
        "APP_KEY=«base64:abc123def456ghi789»",
    ] {
        covers_marked(text);
    }
}

#[test]
fn counts_and_states_stay() {
    for text in [
        "tests pass: 12, fail: 3",
        "all checks pass; second pass done",
        "pass=1/3 pass=true pass=12",
        "PASS: all 15 tests",
        "--- PASS: TestFoo (0.00s)",
        "first pass: 12ms, second pass: 15 ms",
        r#"{"pass":15,"fail":0,"skip":1} {"pass":"true"}"#,
        "proxy_pass: http://backend:8080 proxy_pass=http://backend:8080",
        "render_pass=3 multi_pass=false bypass=true compass=north passed=12",
        "prompt_tokens: 153 completion_tokens=12 max_tokens=4096 total_tokens: 165 tokens=153",
        r#"{"usage":{"prompt_tokens":153,"tokens":{"in":125000,"out":2}}}"#,
        "tokens: 153 (cached) tokens/s=55.2 token_count=5",
        r#"{"tokens":["the","quick","brown"]}"#,
        "tokens=[IDENT, PLUS, NUMBER]",
        "secrets: 3 passwords: 0 found",
        "cannot list secrets: forbidden",
        r#"{"secrets":[{"name":"regcred"}],"imagePullSecrets":[{"name":"x"}]}"#,
        r#"{"passwords":{"min":8,"max":64}}"#,
        "password_strength=4 password1 is required",
        "secrets.yaml: 12 keys, passwords.txt: no such file",
    ] {
        stays(text);
    }
}
