//! What can be together and is probably not meant: warnings of `validate`, of the start and of `status`.

use vervet_model::Signal;

use super::conflicts::{at_setting, in_order, told};
use super::error::Problem;
use super::yaml::Node;
use super::{AgentConfig, ReceiverConfig};
use crate::pipeline::SignalSet;
use crate::receivers::filelog::FilelogConfig;

/// What the checked parts tell; their lines are looked up in the text.
pub(super) fn of(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = idle_receivers(root, config);
    problems.extend(doubled_files(root, config));
    problems.extend(excluded_files(root, config));
    problems
}

/// Receivers of one pipeline that read the same files, as far as their globs alone tell.
fn doubled_files(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let logs = config.signals_pipeline(Signal::Logs);
    let mut earlier: Vec<(&str, &FilelogConfig)> = Vec::new();
    for (name, filelog) in filelogs(root, config) {
        let in_pipeline = logs.is_some_and(|logs| logs.from.iter().any(|from| from == name));
        if !in_pipeline {
            continue;
        }
        let found = earlier
            .iter()
            .find_map(|(other, known)| Some((other, filelog.shares_with(known)?)));
        if let Some((other, glob)) = found {
            let message = format!(
                "receiver `{other}` reads the files of `{glob}` as well: each of their lines comes twice"
            );
            problems.push(at_setting(root, &["receivers", name, "include"], message));
        }
        earlier.push((name, filelog));
    }
    problems
}

/// Receivers that exclude all that they include.
fn excluded_files(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let filelogs = filelogs(root, config).into_iter();
    let without = filelogs.filter(|(_, filelog)| filelog.excludes_all());
    let told = without.map(|(name, _)| {
        let message = "excludes every file that `include` names".to_owned();
        at_setting(root, &["receivers", name, "exclude"], message)
    });
    told.collect()
}

fn filelogs<'c>(root: &'c Node, config: &'c AgentConfig) -> Vec<(&'c str, &'c FilelogConfig)> {
    let receivers = in_order(root, "receivers", &config.receivers).into_iter();
    let filelogs = receivers.filter_map(|(name, receiver)| match receiver {
        ReceiverConfig::Filelog(filelog) => Some((name, filelog)),
        _ => None,
    });
    filelogs.collect()
}

/// Receivers that pipelines name only for signals that they do not make.
fn idle_receivers(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, receiver) in in_order(root, "receivers", &config.receivers) {
        if config.uses_receiver(name) || config.signals_from(name) == SignalSet::default() {
            continue;
        }
        let makes = told((&name.to_owned(), &receiver));
        let message = format!("{makes}, which none of its pipelines takes; it is not started");
        problems.push(at_setting(root, &["receivers", name], message));
    }
    problems
}
