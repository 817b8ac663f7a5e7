//! .NET, PHP and Ruby.

use super::*;

fn check(
    text: &str,
    language: Language,
    kind: &str,
    message: &str,
    expected: &[&str],
) -> ParsedStack {
    let stack = parsed(text);
    assert_eq!(stack.language, language, "{text}");
    assert_eq!(stack.exception_type, kind, "{text}");
    assert_eq!(stack.message, message, "{text}");
    assert_eq!(frames(&stack.frames), expected, "{text}");
    stack
}

#[test]
fn dotnet_with_inner_exceptions_and_generated_names() {
    let stack = check(
        "fail: Shop.Cart[0]\n      Adding failed\n      System.InvalidOperationException: cart is closed\n       \
         ---> Shop.DbException: no row\n       ---> System.TimeoutException: 30s\n         \
         at Npgsql.Connection.Open()\n         --- End of inner exception stack trace ---\n         \
         at Shop.Db.Get[T](Int32 id, String name) in C:\\src\\Db.cs:line 7\n         \
         --- End of inner exception stack trace ---\n         \
         at Shop.Cart.<AddAsync>d__5.MoveNext() in /src/Cart.cs:line 42\n      \
         --- End of stack trace from previous location ---\n         \
         at Shop.Api.<>c.<<Main>b__0_1>d.MoveNext() in /src/Api.cs:line 9\n         \
         at Shop.Program.<<Main>$>g__Run|0_0(String[] args) in /src/Program.cs:line 3\n         \
         at System.Threading.Tasks.Task.RunInternal(Task task)",
        Language::Dotnet,
        "System.InvalidOperationException",
        "cart is closed",
        &[
            "app Shop.Cart AddAsync",
            "app Shop.Api Main",
            "app Shop.Program Run",
            "lib System.Threading.Tasks.Task RunInternal",
        ],
    );
    assert_eq!(
        (stack.frames[0].file.as_str(), stack.frames[0].line),
        ("/src/Cart.cs", 42)
    );
    let causes: Vec<_> = stack
        .causes
        .iter()
        .map(|one| one.exception_type.as_str())
        .collect();
    assert_eq!(causes, ["Shop.DbException", "System.TimeoutException"]);
    assert_eq!(frames(&stack.causes[0].frames), ["app Shop.Db Get"]);
    assert_eq!(
        frames(&stack.causes[1].frames),
        ["lib Npgsql.Connection Open"]
    );
}

#[test]
fn dotnet_without_places() {
    check(
        "Unhandled exception. System.ArgumentNullException: Value cannot be null. (Parameter 'item')\n   \
         at Shop.Cart..ctor(Item item)\n   at Shop.Program.Main()",
        Language::Dotnet,
        "System.ArgumentNullException",
        "Value cannot be null. (Parameter 'item')",
        &["app Shop.Cart ctor", "app Shop.Program Main"],
    );
    let aggregate = parsed(
        "System.AggregateException: One or more errors occurred. (gone)\n ---> System.Exception: gone\n   \
         at Shop.A.B() in /src/A.cs:line 1\n   --- End of inner exception stack trace ---\n   \
         at Shop.C.D() in /src/C.cs:line 2\n ---> (Inner Exception #0) System.Exception: gone\n   \
         at Shop.A.B() in /src/A.cs:line 1<---",
    );
    assert_eq!(frames(&aggregate.frames), ["app Shop.C D"]);
    assert_eq!(aggregate.causes.len(), 1);
}

#[test]
fn php_as_its_log_has_it() {
    check(
        "PHP Fatal error:  Uncaught RuntimeException: no stock: 5 in /var/www/html/src/Cart.php:12\nStack trace:\n\
         #0 /var/www/html/vendor/acme/router/Router.php(9): Shop\\Cart->add(Object(Item))\n\
         #1 [internal function]: Acme\\Router->{closure:Acme\\Router::run():5}('x')\n\
         #2 /var/www/html/index.php(3): array_map(Object(Closure), Array)\n#3 {main}\n  thrown in /var/www/html/src/Cart.php on line 12",
        Language::Php,
        "RuntimeException",
        "no stock: 5",
        &[
            "app src/Cart.php Shop\\Cart->add",
            "lib acme/router/Router.php Acme\\Router->{closure",
            "app index.php ",
        ],
    );
    let chained = check(
        "[02-Jan-2024 03:04:05 UTC] PHP Fatal error:  Uncaught PDOException: gone in /app/src/Db.php:5\nStack trace:\n\
         #0 /app/src/Cart.php(9): Shop\\Db->get()\n#1 {main}\n\n\
         Next Shop\\Failed: no cart in /app/src/Cart.php:11\nStack trace:\n\
         #0 /app/index.php(3): Shop\\Cart->load(7)\n#1 {main}\n  thrown in /app/src/Cart.php on line 11",
        Language::Php,
        "Shop\\Failed",
        "no cart",
        &["app src/Cart.php Shop\\Cart->load", "app index.php "],
    );
    assert_eq!(chained.causes[0].exception_type, "PDOException");
    assert_eq!(
        frames(&chained.causes[0].frames),
        ["app src/Db.php Shop\\Db->get", "app src/Cart.php "]
    );
}

#[test]
fn php_as_monolog_writes_it() {
    let stack = check(
        "[2024-01-02 03:04:05] production.ERROR: no cart {\"exception\":\"[object] (Shop\\\\Failed(code: 0): no cart at /var/www/app/Cart.php:11)\n\
         [stacktrace]\n#0 /var/www/index.php(3): Shop\\\\Cart->load(7)\n#1 {main}\n\n\
         [previous exception] [object] (PDOException(code: 2002): gone at /var/www/app/Db.php:5)\n[stacktrace]\n\
         #0 /var/www/app/Cart.php(9): Shop\\\\Db->get()\n#1 {main}\n\"} []",
        Language::Php,
        "Shop\\Failed",
        "no cart",
        &["app app/Cart.php Shop\\Cart->load", "app index.php "],
    );
    assert_eq!(stack.causes[0].exception_type, "PDOException");
    assert_eq!(stack.causes[0].message, "gone");
}

#[test]
fn ruby_uncaught_logged_and_of_rails() {
    check(
        "app.rb:3:in 'Shop#run': no stock (RuntimeError)\n\tfrom app.rb:7:in 'block in Shop#each'\n\t\
         from /usr/local/lib/ruby/3.4.0/json/common.rb:9:in 'JSON.parse'\n\tfrom app.rb:9:in '<main>'",
        Language::Ruby,
        "RuntimeError",
        "no stock",
        &[
            "app app.rb Shop#run",
            "app app.rb Shop#each",
            "lib ruby/json/common.rb JSON.parse",
            "app app.rb <main>",
        ],
    );
    let caused = check(
        "/app/lib/a.rb:3:in `run': line one\nline two (Shop::Failed)\n\tfrom /app/bin/a.rb:9:in `<main>'\n\
         /app/lib/b.rb:5:in `get': gone (IOError)\n\tfrom /app/lib/a.rb:2:in `run'",
        Language::Ruby,
        "Shop::Failed",
        "line one\nline two",
        &["app lib/a.rb run", "app bin/a.rb <main>"],
    );
    assert_eq!(caused.causes[0].exception_type, "IOError");
    check(
        "E, [2024-01-02T03:04:05.678901 #12] ERROR -- shop: no stock (RuntimeError)\n\
         /app/lib/a.rb:3:in 'Shop#run'\n/bundle/gems/rack-3.1.0/lib/rack/x.rb:7:in 'Rack::X#call'",
        Language::Ruby,
        "RuntimeError",
        "no stock",
        &[
            "app lib/a.rb Shop#run",
            "lib rack/lib/rack/x.rb Rack::X#call",
        ],
    );
    check(
        "F, [2024-01-02T03:04:05.678901 #12] FATAL -- : [req-1]   \n[req-1] NoMethodError (undefined method 'x' for nil):\n\
         [req-1]   \n[req-1] app/controllers/y.rb:9:in 'YController#create'",
        Language::Ruby,
        "NoMethodError",
        "undefined method 'x' for nil",
        &["app app/controllers/y.rb YController#create"],
    );
    // A backtrace alone, as a field has it.
    check(
        "app/a.rb:3:in 'run'\napp/b.rb:4:in 'call'",
        Language::Ruby,
        "",
        "",
        &["app app/a.rb run", "app app/b.rb call"],
    );
}

#[test]
fn texts_that_only_look_like_these_are_none() {
    for text in [
        "we met\n   at Foo.Bar(a b)\n   at noon",
        "look\n  at Foo.bar()",
        "#0 is a channel\n#1 is another",
        "#0 see (9): x",
        "made in 'China'\nor:in 'b'",
        "x 3:in 'a'\ny",
    ] {
        assert_eq!(parse_stack(text), None, "{text:?}");
    }
    // The JVM's frames look alike.
    let java = parsed(
        "java.lang.Error: x\n\tat sun.misc.Unsafe.park(Native Method)\n\tat a.B.c(B.java:1)",
    );
    assert_eq!(java.language, Language::Java);
}

proptest! {
    #[test]
    fn pieces_of_these_in_any_order_never_panic(pieces in proptest::collection::vec(
        prop_oneof![
            Just("   at A.B.C(D e) in /f.cs:line 3\n"), Just("   at A.<>c.<B>b__0()\n"), Just(" ---> "), Just("A.BException: é\n"),
            Just("--- End of inner exception stack trace ---\n"), Just(" ---> (Inner Exception #0) "), Just("at <<<.<>.<(") ,
            Just("#0 /a.php(3): f()\n"), Just("#1 {main}\n"), Just("#1 [internal function]: g('é')\n"), Just("Stack trace:\n"),
            Just("Uncaught É: x in /a.php:3\n"), Just("\nNext "), Just("[object] (A(code: 0): é at /b.php:1)\n[stacktrace]\n"),
            Just("a.rb:3:in 'é': x (A)\n"), Just("\tfrom a.rb:3:in `b'\n"), Just("[é] [b] "), Just("X (y):\n"), Just(" -- é: "),
            Just("   \u{a0}#0 /é.php(1): x\n"), Just("\n"),
        ], 0..30,
    )) {
        let text = pieces.concat();
        if let Some((start, stack)) = parse_with_start(&text, None) {
            prop_assert!(text.is_char_boundary(start));
            prop_assert!(!stack.frames.is_empty());
        }
    }
}
