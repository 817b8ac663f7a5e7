//! The parts of a container image's reference.

/// `registry:5000/team/app:1.2@sha256:...`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageName {
    /// Registry and repository.
    pub(crate) name: String,
    pub(crate) tag: Option<String>,
    /// Algorithm and value.
    pub(crate) digest: Option<String>,
}

impl ImageName {
    /// Takes a reference apart. One without tag and digest means `latest`.
    pub(crate) fn parse(text: &str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let path_at = rest.rfind('/').map_or(0, |slash| slash + 1);
        let tag_at = rest
            .get(path_at..)
            .and_then(|path| path.find(':'))
            .map(|colon| path_at + colon);
        let (name, tag) = match tag_at.and_then(|at| rest.split_at_checked(at)) {
            Some((name, tag)) => (name, Some(tag.trim_start_matches(':').to_owned())),
            None if digest.is_none() && !rest.is_empty() => (rest, Some("latest".to_owned())),
            None => (rest, None),
        };
        Self {
            name: name.to_owned(),
            tag: tag.filter(|tag| !tag.is_empty()),
            digest,
        }
    }

    /// What a version of the service can be told by: the tag, the digest, or both as `tag@digest`.
    pub(crate) fn version(&self) -> Option<String> {
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (tag, digest) => tag.clone().or_else(|| digest.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_together_comes_apart(
            name in "([a-z]{1,8}(:[0-9]{2,5})?/)?[a-z0-9._-]{1,12}(/[a-z0-9._-]{1,8})?",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,12}"),
            digest in proptest::option::of("sha256:[0-9a-f]{8}"),
        ) {
            let mut text = name.clone();
            text.extend(tag.iter().map(|tag| format!(":{tag}")));
            text.extend(digest.iter().map(|digest| format!("@{digest}")));
            let latest = tag.is_none() && digest.is_none();
            let tag = tag.or(latest.then(|| "latest".to_owned()));
            prop_assert_eq!(ImageName::parse(&text), ImageName { name, tag, digest });
        }

        #[test]
        fn no_text_is_too_odd(text in ".{0,40}") {
            let image = ImageName::parse(&text);
            prop_assert!(text.starts_with(&image.name));
        }
    }

    #[test]
    fn references_come_apart() {
        let long = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for (text, name, tag, digest) in [
            ("nginx", "nginx", Some("latest"), None),
            ("nginx:1.29", "nginx", Some("1.29"), None),
            ("ghcr.io/acme/web:v2", "ghcr.io/acme/web", Some("v2"), None),
            ("local:5000/web", "local:5000/web", Some("latest"), None),
            ("local:5000/web:3", "local:5000/web", Some("3"), None),
            (&format!("a/b@{long}"), "a/b", None, Some(long)),
            (&format!("a/b:7@{long}"), "a/b", Some("7"), Some(long)),
            ("a/b:", "a/b", None, None),
            ("", "", None, None),
        ] {
            let image = ImageName::parse(text);
            assert_eq!(image.name, name, "{text}");
            assert_eq!(image.tag.as_deref(), tag, "{text}");
            assert_eq!(image.digest.as_deref(), digest, "{text}");
        }
        let both = ImageName::parse(&format!("a:7@{long}")).version();
        assert_eq!(both, Some(format!("7@{long}")));
        assert_eq!(ImageName::parse("a:7").version().as_deref(), Some("7"));
    }
}
