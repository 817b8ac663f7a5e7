//! Where targets are.

use super::Notes;
use crate::receivers::prometheus::discovery::{ADDRESS, Discovery, Group, LabelMap};
use crate::receivers::prometheus::spec::{ScrapeSpec, StaticSpec};
use crate::receivers::prometheus::target::address_mistake;

pub(super) fn check(spec: &ScrapeSpec, notes: &mut Notes<'_>) -> Option<Vec<Discovery>> {
    let mut all: Vec<Option<Discovery>> = Vec::new();
    if !spec.static_configs.is_empty() {
        all.push(fixed(&spec.static_configs, notes).map(Discovery::Static));
    }
    all.into_iter().collect()
}

fn fixed(specs: &[StaticSpec], notes: &mut Notes<'_>) -> Option<Vec<Group>> {
    let (mut groups, mut all_right) = (Vec::new(), true);
    for (at, spec) in specs.iter().enumerate() {
        for address in &spec.targets {
            if let Some(mistake) = address_mistake(address) {
                all_right = false;
                let mut notes = notes.inside("static_configs", at);
                notes.demand(false, &["targets"], format!("target `{address}` {mistake}"));
            }
        }
        let target = |address: &String| LabelMap::from([(ADDRESS.to_owned(), address.clone())]);
        groups.push(Group {
            labels: spec.labels.clone(),
            targets: spec.targets.iter().map(target).collect(),
        });
    }
    all_right.then_some(groups)
}
