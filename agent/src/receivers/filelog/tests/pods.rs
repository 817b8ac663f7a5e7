//! Files of containers, and what their pods' annotations ask for.

use serde_json::json;

use super::*;
use crate::kubernetes::PodsDouble;

const WAIT: Duration = Duration::from_secs(20);

fn container_file(directory: &Path, uid: &str) -> PathBuf {
    let path = directory.join(format!("pods/shop_web-{uid}_{uid}/next/0.log"));
    fs::create_dir_all(path.parent().expect("parent")).expect("created");
    path
}

/// Reads the files of containers below `pods`, which stands for the kubelet's folder.
fn spec_of_pods(directory: &Path) -> FilelogSpec {
    let root = directory.join("pods").to_string_lossy().into_owned();
    FilelogSpec {
        pod_roots: PodRoots::try_from(vec![root]).expect("valid"),
        ..spec(&directory.join("pods/*/*/*.log"))
    }
}

fn pod(uid: &str, annotations: serde_json::Value) -> serde_json::Value {
    json!({
        "metadata": {
            "name": format!("web-{uid}"), "namespace": "shop", "uid": uid, "annotations": annotations,
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "next", "image": "shop/next:1"}]},
        "status": {"phase": "Running"},
    })
}

fn cri(text: &str) -> String {
    format!("2024-01-02T03:04:05.000000001Z stdout F {text}\n")
}

#[tokio::test]
async fn a_new_pod_is_waited_for_and_its_file_kept_open_meanwhile() {
    let (directory, _) = directory();
    let path = container_file(directory.path(), "uid-1");
    append(&path, cri("first words"));
    let pods = PodsDouble::new(WAIT);
    let spec = spec_of_pods(directory.path());
    let mut running = start_with(spec, Vec::new(), pods.directory.clone());
    let held = async {
        while !running.metric("vervet_agent_filelog_open_files{receiver=\"files\"} 1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, held).await.expect("in time");
    // The pod ends before anything is known of it.
    fs::remove_file(&path).expect("removed");
    assert!(running.seen.is_empty());
    pods.put(pod("uid-1", json!({})));
    running.until_count(1).await;
    assert_eq!(running.bodies(), ["first words"]);
    running.stop().await;
}

#[tokio::test]
async fn annotations_exclude_a_pod_and_name_a_format() {
    let (directory, _) = directory();
    let pods = PodsDouble::new(WAIT);
    pods.put(pod("uid-1", json!({"vervet.dev/exclude": "true"})));
    pods.put(pod("uid-2", json!({"vervet.dev/format": "plain"})));
    pods.put(pod("uid-3", json!({})));
    let line = cri("{\"level\":50,\"msg\":\"said\"}");
    for uid in ["uid-1", "uid-2", "uid-3"] {
        append(&container_file(directory.path(), uid), &line);
    }
    let spec = spec_of_pods(directory.path());
    let mut running = start_with(spec, Vec::new(), pods.directory.clone());
    running.until_count(2).await;
    append(&container_file(directory.path(), "uid-1"), &line);
    append(&container_file(directory.path(), "uid-3"), cri("last"));
    running.until_count(3).await;
    let mut bodies = running.bodies();
    bodies.sort_unstable();
    assert_eq!(bodies, ["last", "said", "{\"level\":50,\"msg\":\"said\"}"]);
    running.stop().await;
}

#[tokio::test]
async fn a_folder_of_anybody_that_looks_like_a_pods_is_no_pods() {
    let (directory, _) = directory();
    let pods = PodsDouble::new(WAIT);
    pods.put(pod("uid-1", json!({"vervet.dev/exclude": "true"})));
    append(&container_file(directory.path(), "uid-1"), "forged\n");
    let spec = spec(&directory.path().join("**/*.log"));
    let mut running = start_with(spec, Vec::new(), pods.directory.clone());
    running.until_count(1).await;
    // Not named by the folder of a container, but by the file.
    let service = running.seen.first().map(|seen| seen.service.as_str());
    assert_eq!(service, Some("0"));
    running.stop().await;
}
