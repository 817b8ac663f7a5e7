use proptest::prelude::*;

use super::*;

#[test]
fn values_become_placeholders() {
    for (message, expected) in [
        ("order 4711 not found", "order <num> not found"),
        (
            "user a.b@example.org has no plan",
            "user <email> has no plan",
        ),
        (
            "GET https://api.example.org/v1/x?id=3 failed",
            "GET <url> failed",
        ),
        (
            "id 0190b8f6-2f0c-7c7e-b1d4-1f2e3d4c5b6a gone",
            "id <uuid> gone",
        ),
        (
            "connect ECONNREFUSED 10.0.0.3:5432",
            "connect ECONNREFUSED <ip>",
        ),
        (
            "connect ECONNREFUSED ::1:5432",
            "connect ECONNREFUSED <ip>:<num>",
        ),
        (
            "at 2026-01-02T03:04:05.678Z and 03:04:05",
            "at <date> and <date>",
        ),
        (
            "column \"total\" of 'orders' and `x`",
            "column <quoted> of <quoted> and <quoted>",
        ),
        ("it doesn't work, isn't it", "it doesn't work, isn't it"),
        (
            "commit 9fc6b43126469e2f at 0xdeadbeef",
            "commit <hex> at <hex>",
        ),
        ("customer cus_9s6XKzkNRiz8i3", "customer <id>"),
        (
            "timeout of 5000ms exceeded after 1.5 s",
            "timeout of <num>ms exceeded after <num> s",
        ),
        ("plain words stay", "plain words stay"),
    ] {
        assert_eq!(parameterise(message), expected);
    }
}

proptest! {
    #[test]
    fn arbitrary_messages_never_panic(message in any::<String>()) {
        let _ = parameterise(&message);
    }

    #[test]
    fn the_number_does_not_matter(a in 0_u64.., b in 0_u64..) {
        let (a, b) = (format!("order {a} failed"), format!("order {b} failed"));
        prop_assert_eq!(parameterise(&a), parameterise(&b));
    }
}
