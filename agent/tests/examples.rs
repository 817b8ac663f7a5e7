//! The agent configurations that ship in `deploy` are valid, use all they define and keep the admin listener on
//! loopback.

use std::path::{Path, PathBuf};

use vervet_agent::config::AgentConfig;
use vervet_agent::config::substitute::Sources;

/// Folders below `deploy`, and the beginnings of the file names in them.
const SHIPPED: [(&str, &[&str]); 2] = [
    ("examples", &["agent"]),
    ("kustomize/base/config", &["agent", "scraper"]),
];

/// What the manifests and the unit file set in the environment; no file is referred to.
struct Deployed;

impl Sources for Deployed {
    fn variable(&self, name: &str) -> Option<String> {
        let known = ["VERVET_ENVIRONMENT", "NODE_NAME", "HOSTNAME"];
        known.contains(&name).then(|| name.to_lowercase())
    }

    fn file(&self, _path: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

fn shipped() -> Vec<PathBuf> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut files = Vec::new();
    for (folder, beginnings) in SHIPPED {
        for entry in std::fs::read_dir(deploy.join(folder)).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if beginnings
                .iter()
                .any(|beginning| name.starts_with(beginning))
            {
                files.push(path.clone());
            }
        }
    }
    files
}

fn load(path: &Path) -> AgentConfig {
    let text = std::fs::read_to_string(path).expect("readable");
    AgentConfig::parse(&path.display().to_string(), &text, &Deployed)
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn shipped_configurations_are_valid_and_wired() {
    let files = shipped();
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        let config = load(&path);
        for name in config.receivers.keys() {
            let used = config.pipelines.iter().any(|p| p.from.contains(name));
            assert!(used, "{path:?}: receiver {name} feeds no pipeline");
        }
        for name in config.processors.keys() {
            let used = config.pipelines.iter().any(|p| p.via.contains(name));
            assert!(used, "{path:?}: processor {name} is in no pipeline");
        }
        for name in config.exporters.keys() {
            let used = config.pipelines.iter().any(|p| p.to.contains(name));
            assert!(used, "{path:?}: exporter {name} gets nothing");
        }
        let admin = config.admin.expect("admin listener");
        assert!(admin.ip().is_loopback(), "{path:?}: admin on {admin}");
        let environment = config
            .resource
            .iter()
            .any(|(key, _)| key == "deployment.environment.name");
        assert!(environment, "{path:?}: records would name no environment");
    }
}
