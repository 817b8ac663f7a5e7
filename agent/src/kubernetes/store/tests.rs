use super::*;
use crate::kubernetes::Container;

fn pod(uid: &str, ip: &str) -> Pod {
    Pod {
        uid: uid.to_owned(),
        name: "web-0".to_owned(),
        ips: vec![ip.parse().expect("address")],
        owns_ips: true,
        containers: vec![Container {
            name: "app".to_owned(),
            runs: vec![(0, format!("id-of-{uid}"))],
            ..Container::default()
        }],
        ..Pod::default()
    }
}

fn uid(entry: Option<&Entry>) -> Option<&str> {
    entry.map(|entry| entry.pod.uid.as_str())
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

#[test]
fn a_reused_name_and_address_belong_to_the_new_uid() {
    let (mut pods, now) = (Pods::default(), Instant::now());
    pods.put(pod("old", "10.0.0.1"));
    pods.remove("old", now);
    assert_eq!(uid(pods.by_ip(ip("10.0.0.1"))), None);
    pods.put(pod("new", "10.0.0.1"));
    assert_eq!(uid(pods.by_uid("old")), Some("old"));
    assert_eq!(uid(pods.by_container("id-of-old")), Some("old"));
    assert_eq!(uid(pods.by_uid("new")), Some("new"));
    assert_eq!(uid(pods.by_ip(ip("10.0.0.1"))), Some("new"));
    assert_eq!((pods.live(), pods.gone()), (1, 1));
}

#[test]
fn of_two_pods_with_one_address_the_younger_has_it() {
    let mut older = pod("z", "10.0.0.1");
    older.start_time = Some("2026-01-01T00:00:00Z".to_owned());
    let mut younger = pod("a", "10.0.0.1");
    younger.start_time = Some("2026-01-01T00:00:01Z".to_owned());
    for order in [[&older, &younger], [&younger, &older]] {
        let mut pods = Pods::default();
        for pod in order {
            pods.put(pod.clone());
        }
        assert_eq!(uid(pods.by_ip(ip("10.0.0.1"))), Some("a"));
    }
    // An ended pod has given its address back.
    let mut pods = Pods::default();
    younger.owns_ips = false;
    pods.put(older);
    pods.put(younger);
    assert_eq!(uid(pods.by_ip(ip("10.0.0.1"))), Some("z"));
}

#[test]
fn only_changes_of_metadata_are_a_new_generation() {
    let (mut pods, now) = (Pods::default(), Instant::now());
    pods.put(pod("a", "10.0.0.1"));
    pods.put(pod("b", "10.0.0.2"));
    let first = pods.generation();
    pods.replace(vec![pod("a", "10.0.0.1"), pod("b", "10.0.0.2")], now);
    assert_eq!(pods.generation(), first);
    let mut changed = pod("a", "10.0.0.1");
    changed.labels.insert("k".to_owned(), "v".to_owned());
    pods.put(changed);
    assert_eq!(pods.generation(), first + 1);
    let of = |uid: &str| pods.by_uid(uid).expect("known").generation;
    assert_eq!((of("a"), of("b")), (first + 1, first));
}

#[test]
fn a_list_buries_what_it_does_not_name_and_revives_what_it_does() {
    let (mut pods, now) = (Pods::default(), Instant::now());
    pods.replace(vec![pod("a", "10.0.0.1"), pod("b", "10.0.0.2")], now);
    pods.replace(vec![pod("b", "10.0.0.2")], now);
    assert_eq!((pods.live(), pods.gone()), (1, 1));
    let kept = Duration::from_secs(600);
    pods.expire(now + kept / 2, kept);
    assert_eq!(uid(pods.by_uid("a")), Some("a"));
    pods.replace(vec![pod("a", "10.0.0.1")], now);
    assert_eq!((pods.live(), pods.gone()), (1, 1));
    pods.expire(now + kept, kept);
    assert_eq!(uid(pods.by_uid("b")), None);
    assert_eq!(uid(pods.by_container("id-of-b")), None);
    assert_eq!((pods.live(), pods.gone()), (1, 0));
}

#[test]
fn tombstones_and_pods_are_bounded() {
    let (mut pods, start) = (Pods::default(), Instant::now());
    for index in 0..TOMBSTONES_MAX + 3 {
        let uid = format!("pod-{index}");
        pods.put_entry(pod(&uid, "10.0.0.1"));
        pods.remove(&uid, start + Duration::from_secs(index as u64));
    }
    assert_eq!((pods.live(), pods.gone()), (0, TOMBSTONES_MAX));
    assert_eq!(uid(pods.by_uid("pod-2")), None);
    assert_eq!(uid(pods.by_uid("pod-3")), Some("pod-3"));
    let many = (0..PODS_MAX + 2).map(|index| pod(&format!("p{index}"), "10.0.0.1"));
    assert_eq!(pods.replace(many.collect(), start), 2);
    assert_eq!(pods.live(), PODS_MAX);
    assert!(!pods.put(pod("one-more", "10.0.0.1")));
    // A pod that is known may change, room or not.
    assert!(pods.put(pod("p1", "10.0.0.9")));
}

#[test]
fn a_static_pod_is_found_by_the_uid_of_its_log_folder() {
    let (mut pods, now) = (Pods::default(), Instant::now());
    let of = |uid: &str| Pod {
        static_uid: Some("hash".to_owned()),
        ..pod(uid, "10.0.0.1")
    };
    pods.put(of("mirror-1"));
    pods.remove("mirror-1", now);
    assert_eq!(uid(pods.by_uid("hash")), Some("mirror-1"));
    pods.put(of("mirror-2"));
    assert_eq!(uid(pods.by_uid("hash")), Some("mirror-2"));
}
