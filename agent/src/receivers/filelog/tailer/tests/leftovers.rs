use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::buffer::OVER_KEPT;
use crate::pipeline::FileState;
use crate::receivers::filelog::pasts::NO_DEVICE;

fn id(path: &Path) -> FileId {
    let metadata = fs::metadata(path).expect("there");
    (metadata.dev(), metadata.ino())
}

impl Hand {
    /// Reads a file that has more, so that a batch goes: the news in it, in no order.
    fn news_with(&mut self, path: &Path, numbers: std::ops::Range<usize>) -> Vec<FileNews> {
        write(path, numbers);
        self.tailer.look_at_open();
        self.read();
        std::mem::take(&mut self.news)
    }
}

#[test]
fn what_is_over_is_told_and_forgotten_and_what_is_followed_or_left_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    let names = ["live.log", "gone.log", "cut.log", "old.log"];
    names.iter().for_each(|name| write(&path(name), 0..3));
    let [live, gone, cut, old] = names.map(|name| id(&path(name)));
    let mut hand = Hand::new(&path("*.log"), Vec::new());
    hand.look();
    assert_eq!(hand.read().len(), 12);
    fs::remove_file(path("gone.log")).expect("removed");
    fs::rename(path("old.log"), path("old.log.1")).expect("renamed");
    File::create(path("cut.log")).expect("cut");
    hand.look();
    hand.tailer.look_at_open();
    hand.read();
    [gone, old]
        .into_iter()
        .for_each(|id| hand.tailer.give_up(id));
    let first = Instant::now() + Duration::from_secs(60);
    hand.tailer.look_at_leftovers(first);
    let mut news = hand.news_with(&path("live.log"), 3..4);
    news.sort_unstable();
    let mut expected = vec![
        (gone, FileState::Over),
        (old, FileState::Left),
        ((NO_DEVICE, 1), FileState::Over),
    ];
    expected.sort_unstable();
    assert_eq!(news, expected);
    assert!(
        ![live, cut]
            .iter()
            .any(|id| hand.tailer.pasts.get(*id).is_some())
    );
    let recent = hand.tailer.pasts.get(old).map(|past| past.recent.len());
    assert!(recent > Some(0));

    // Nothing has changed a while later.
    let later = first + OVER_KEPT / 2;
    hand.tailer.look_at_leftovers(later);
    assert_eq!(hand.news_with(&path("live.log"), 4..5), []);
    let recent = hand.tailer.pasts.get(old).map(|past| past.recent.len());
    assert_eq!(recent, Some(0), "their room is given back");

    hand.tailer.look_at_leftovers(first + OVER_KEPT);
    let is_known = |hand: &Hand, id| hand.tailer.pasts.get(id).is_some();
    assert!(!is_known(&hand, gone) && !is_known(&hand, (NO_DEVICE, 1)));
    assert!(is_known(&hand, old), "it is there still");

    fs::remove_file(path("old.log.1")).expect("removed");
    hand.tailer.look_at_leftovers(first + 2 * OVER_KEPT);
    let news = hand.news_with(&path("live.log"), 5..6);
    assert_eq!(news, [(old, FileState::Over)]);
}

#[test]
fn a_file_that_is_followed_again_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    write(&path("live.log"), 0..3);
    write(&path("old.log"), 0..3);
    let old = id(&path("old.log"));
    let mut hand = Hand::new(&path("*.log"), Vec::new());
    hand.look();
    hand.read();
    fs::rename(path("old.log"), path("old.log.1")).expect("renamed");
    // What the kernel tells of the rename comes before it is given up.
    hand.tailer.find();
    hand.look();
    hand.tailer.give_up(old);
    let first = Instant::now() + Duration::from_secs(60);
    hand.tailer.look_at_leftovers(first);
    let news = hand.news_with(&path("live.log"), 3..4);
    assert_eq!(news, [(old, FileState::Left)]);
    fs::rename(path("old.log.1"), path("back.log")).expect("renamed");
    hand.look();
    let news = hand.news_with(&path("live.log"), 4..5);
    assert_eq!(news, [(old, FileState::Followed)]);
    assert!(
        !hand
            .positions
            .iter()
            .skip(3)
            .any(|position| (position.device, position.inode) == old)
    );
}
