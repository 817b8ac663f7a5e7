//! Paths that begin with `~`: a shell makes a home folder of that, a configuration file does not.

/// # Errors
/// `path` begins with `~`: what to write instead.
pub(crate) fn no_home(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(());
    };
    let (user, below) = rest.split_once('/').unwrap_or((rest, ""));
    let home = match user {
        "" => "/home/NAME".to_owned(),
        "root" => "/root".to_owned(),
        user => format!("/home/{user}"),
    };
    Err(format!(
        "`{path}`: `~` is not expanded; write an absolute path, such as `{home}/{below}`, or `./{path}` for a name that \
         begins with it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_is_suggested() {
        for (path, instead) in [
            ("~/logs/*.log", "`/home/NAME/logs/*.log`"),
            ("~web/logs", "`/home/web/logs`"),
            ("~root/x.log", "`/root/x.log`"),
        ] {
            let message = no_home(path).expect_err("refused");
            assert!(message.contains(instead), "{message}");
        }
        assert_eq!(no_home("/var/log/app.log~"), Ok(()));
        assert_eq!(no_home("./~/app.log"), Ok(()));
    }
}
