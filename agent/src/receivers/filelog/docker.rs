//! The container whose output a file of Docker's `json-file` driver holds: `<id>/<id>-json.log`, beside it `config.v2.json`,
//! in which Docker keeps what the container is called.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use serde::Deserialize;

const SETTINGS: &str = "config.v2.json";
/// Larger settings are not read (bytes).
const SETTINGS_BYTES_MAX: u64 = 1 << 20;
const ID_CHARS: usize = 64;
/// An id's beginning, as Docker shows it.
const SHOWN_CHARS: usize = 12;

/// A container. What Docker does not tell is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    /// The service and the project of Docker Compose.
    service: String,
    pub(super) project: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    name: String,
    config: Config,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: String,
    labels: Option<Labels>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Labels {
    #[serde(rename = "com.docker.compose.service")]
    service: String,
    #[serde(rename = "com.docker.compose.project")]
    project: String,
}

impl Container {
    /// Of the file with that path; `None` when it is not named as Docker names them.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let folder = path.parent()?;
        let id = folder.file_name()?.to_str()?;
        let rest = path.file_name()?.to_str()?.strip_prefix(id)?;
        let is_id = id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id || !rest.starts_with("-json.log") {
            return None;
        }
        let settings = read(&folder.join(SETTINGS)).unwrap_or_default();
        let labels = settings.config.labels.unwrap_or_default();
        Some(Self {
            id: id.to_owned(),
            name: settings.name.trim_start_matches('/').to_owned(),
            image: settings.config.image,
            service: labels.service,
            project: labels.project,
        })
    }

    /// What stands for the service while nobody names it.
    pub(super) fn service(&self) -> &str {
        let shown = self.id.get(..SHOWN_CHARS).unwrap_or(&self.id);
        let names = [&self.service, &self.name];
        let named = names.into_iter().find(|name| !name.is_empty());
        named.map_or(shown, String::as_str)
    }
}

/// `None` when they cannot be read, or are not Docker's.
fn read(path: &Path) -> Option<Settings> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).ok()?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .ok()?;
    let mut text = Vec::new();
    let mut limited = file.take(SETTINGS_BYTES_MAX + 1);
    limited.read_to_end(&mut text).ok()?;
    let is_whole = text.len() as u64 <= SETTINGS_BYTES_MAX;
    is_whole.then(|| serde_json::from_slice(&text).ok())?
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn log(root: &Path, settings: Option<&str>) -> PathBuf {
        let id = "0f1e2d3c".repeat(8);
        let folder = root.join(&id);
        fs::create_dir_all(&folder).expect("created");
        let path = folder.join(SETTINGS);
        match settings {
            Some(settings) => fs::write(path, settings).expect("written"),
            None => drop(fs::remove_file(path)),
        }
        folder.join(format!("{id}-json.log"))
    }

    #[test]
    fn a_container_is_called_as_docker_calls_it() {
        let root = tempfile::tempdir().expect("folder");
        let settings = r#"{"StreamConfig":{},"Name":"/shop-web-1","State":{"Pid":7},"Config":{"Image":"shop/web:1.4","Env":["A=b"],
            "Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web","x":"y"}}}"#;
        let path = log(root.path(), Some(settings));
        for name in ["", ".1", ".2.gz"] {
            let path = PathBuf::from(format!("{}{name}", path.display()));
            let container = Container::of(&path).expect("Docker's");
            assert_eq!(container.id, "0f1e2d3c".repeat(8));
            assert_eq!(
                (&*container.name, &*container.image, &*container.project),
                ("shop-web-1", "shop/web:1.4", "shop")
            );
            assert_eq!(container.service(), "web");
        }
        let path = log(
            root.path(),
            Some(r#"{"Name":"/shop","Config":{"Labels":null}}"#),
        );
        assert_eq!(Container::of(&path).expect("Docker's").service(), "shop");
    }

    #[test]
    fn without_settings_that_can_be_read_the_id_stands_for_the_name() {
        let root = tempfile::tempdir().expect("folder");
        let large = format!("{{\"Name\":\"{}\"}}", "a".repeat(1 << 20));
        for settings in [None, Some(""), Some("[]"), Some("{}"), Some(&*large)] {
            let path = log(root.path(), settings);
            let container = Container::of(&path).expect("Docker's");
            assert_eq!(container.service(), "0f1e2d3c0f1e");
        }
        // Nor does a link lead to those of others.
        let path = log(root.path(), None);
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, "{\"Name\":\"/other\"}").expect("written");
        let settings = path.with_file_name(SETTINGS);
        std::os::unix::fs::symlink(&elsewhere, settings).expect("linked");
        assert_eq!(Container::of(&path).expect("Docker's").name, "");
    }

    #[test]
    fn other_files_are_no_containers() {
        let id = "0".repeat(64);
        for path in [
            "/var/log/app-json.log".to_owned(),
            format!("/c/{id}/{}-json.log", "1".repeat(64)),
            format!("/c/{id}/{id}.log"),
            format!("/c/{id}-json.log"),
            "/c/0f/0f-json.log".to_owned(),
            "/".to_owned(),
        ] {
            assert_eq!(Container::of(Path::new(&path)), None, "{path}");
        }
    }
}
