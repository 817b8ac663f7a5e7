//! Which paths tell a pod.
//!
//! The kubelet names a container's log after its pod. Anyone can name folders like that, so only below the folders that the
//! kubelet writes, which belong to root, is a path believed.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

/// Where the kubelet writes: by itself, and as usual when the node's files are mounted into a container. All lie in
/// folders that only root can create.
const DEFAULT_ROOTS: [&str; 4] = [
    "/var/log/pods",
    "/host/var/log/pods",
    "/hostfs/var/log/pods",
    "/rootfs/var/log/pods",
];

/// Folders below which paths tell pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct PodRoots(Arc<[PathBuf]>);

impl Default for PodRoots {
    fn default() -> Self {
        Self(DEFAULT_ROOTS.iter().map(PathBuf::from).collect())
    }
}

impl TryFrom<Vec<String>> for PodRoots {
    type Error = String;

    fn try_from(roots: Vec<String>) -> Result<Self, String> {
        match roots.iter().find(|root| !Path::new(root).is_absolute()) {
            Some(root) => Err(format!("`{root}` is no absolute path")),
            None => Ok(Self(roots.into_iter().map(PathBuf::from).collect())),
        }
    }
}

impl PodRoots {
    /// The pod and container that the path of a log tells.
    pub(super) fn pod_of<'p>(&self, path: &'p str) -> Option<PodPath<'p>> {
        let path = Path::new(path);
        let mut below = self
            .0
            .iter()
            .filter_map(|root| path.strip_prefix(root).ok());
        below.find_map(PodPath::parse)
    }

    /// What a runtime's link to a container's log leads to. With Docker the pod's file is a link as well, to one that does not tell
    /// the pod any more.
    pub(super) fn behind(&self, link: &Path) -> Option<PathBuf> {
        let next = std::fs::read_link(link).ok();
        let of_pod = next.filter(|next| self.hold(next));
        of_pod.or_else(|| std::fs::canonicalize(link).ok())
    }

    /// Whether the path lies below one of them.
    pub(super) fn hold(&self, path: &Path) -> bool {
        self.0.iter().any(|root| path.starts_with(root))
    }
}

/// `<namespace>_<pod>_<uid>/<container>/<restarts>.log`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PodPath<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) uid: &'a str,
    pub(super) container: &'a str,
    pub(super) restarts: Option<i64>,
}

impl<'a> PodPath<'a> {
    fn parse(below: &'a Path) -> Option<Self> {
        let mut parts = below.components().map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let (pod, container, file) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        let mut names = pod.split('_');
        Some(Self {
            namespace: names.next()?,
            pod: names.next()?,
            uid: names.next()?,
            container,
            restarts: file.split('.').next()?.parse().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kubelets_folders_tell_pods() {
        let roots = PodRoots::default();
        let expected = Some(PodPath {
            namespace: "shop",
            pod: "web-7d4b9c",
            uid: "0f-1a",
            container: "next",
            restarts: Some(3),
        });
        for root in ["", "/host", "/hostfs", "/rootfs"] {
            let path = format!("{root}/var/log/pods/shop_web-7d4b9c_0f-1a/next/3.log");
            assert_eq!(roots.pod_of(&path), expected, "{path}");
        }
        for path in [
            "/home/x/pods/shop_web-7d4b9c_0f-1a/next/3.log",
            "/home/x/var/log/pods/shop_web-7d4b9c_0f-1a/next/3.log",
            "/var/log/app/pods/shop_web-7d4b9c_0f-1a/next/3.log",
            "/var/log/pods2/shop_web-7d4b9c_0f-1a/next/3.log",
            "/var/log/pods/../../../home/x/shop_web-7d4b9c_0f-1a/next/3.log",
            "/var/log/pods/shop_web-7d4b9c_0f-1a/../3.log",
            "/var/log/pods/pods/shop_web-7d4b9c_0f-1a/next/3.log",
            "/var/log/pods/shop_web-7d4b9c_0f-1a/next/old/3.log",
            "var/log/pods/shop_web-7d4b9c_0f-1a/next/3.log",
        ] {
            assert_eq!(roots.pod_of(path), None, "{path}");
        }
    }

    #[test]
    fn a_link_to_a_pods_file_tells_the_pod_wherever_that_leads() {
        let directory = tempfile::tempdir().expect("a folder");
        let at = |name: &str| directory.path().join(name);
        let link = |from: &str, to: &str| {
            std::os::unix::fs::symlink(at(to), at(from)).expect("linked");
        };
        std::fs::create_dir_all(at("pods/shop_web_1/next")).expect("created");
        std::fs::write(at("docker.log"), "").expect("written");
        link("pods/shop_web_1/next/0.log", "docker.log");
        link("web.log", "pods/shop_web_1/next/0.log");
        link("other.log", "docker.log");
        let roots = vec![at("pods").to_string_lossy().into_owned()];
        let roots = PodRoots::try_from(roots).expect("valid");
        let behind = roots.behind(&at("web.log"));
        assert_eq!(behind, Some(at("pods/shop_web_1/next/0.log")));
        let last = std::fs::canonicalize(at("docker.log")).expect("there");
        assert_eq!(roots.behind(&at("other.log")), Some(last));
        assert_eq!(roots.behind(&at("gone.log")), None);
    }

    #[test]
    fn other_folders_are_configured() {
        let roots = PodRoots::try_from(vec!["/data/pod-logs/".to_owned()]).expect("valid");
        let is_pods = |path: &str| roots.pod_of(path).is_some();
        assert!(is_pods("/data/pod-logs/shop_web_1/next/0.log"));
        assert!(!is_pods("/var/log/pods/shop_web_1/next/0.log"));
        let none = PodRoots::try_from(Vec::new()).expect("valid");
        assert_eq!(none.pod_of("/var/log/pods/shop_web_1/next/0.log"), None);
        assert!(PodRoots::try_from(vec!["pods".to_owned()]).is_err());
    }
}
