use std::fs;
use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use proptest::prelude::*;

use super::*;
use crate::segment::Checksum;

fn manifest(id: &str, seconds: i64, objects: &[&str]) -> Manifest {
    let file = |object: &&str| BackupFile {
        path: (*object).to_owned(),
        object: (*object).to_owned(),
        bytes: 3,
        xxh3_128: Checksum(7).to_string(),
    };
    Manifest {
        format: 1,
        id: id.to_owned(),
        store: "s".to_owned(),
        taken_unix_nano: seconds,
        version: "0".to_owned(),
        snapshot: 1,
        journal_position: 2,
        journal_last_sequence: 3,
        counts: Vec::new(),
        files: objects.iter().map(file).collect(),
        damaged: Vec::new(),
        copied_bytes: 0,
    }
}

/// The same behaviour is expected of both kinds of places.
fn places(check: impl Fn(&Repository, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/below");
    check(
        &Repository::open(root.to_str().unwrap()).unwrap(),
        dir.path(),
    );
    let store = Arc::new(InMemory::new());
    check(&Repository::over(store, "some/prefix").unwrap(), dir.path());
}

fn silent(_bytes: u64) {}

#[test]
fn what_is_uploaded_comes_back_with_its_checksum() {
    places(|repository, dir| {
        // One that fits a part, one that does not, one that fills parts exactly, and none at all.
        for length in [0_usize, 1, 100_000, 8 << 20, (16 << 20) + 7] {
            let bytes: Vec<u8> = (0..251_u8).cycle().take(length).collect();
            let (from, to) = (dir.join("from"), dir.join("to"));
            fs::write(&from, &bytes).unwrap();
            let mut advanced = 0;
            let up = repository
                .upload("segments/logs/day=1/x.parquet", &from, &mut |bytes| {
                    advanced += bytes;
                })
                .unwrap();
            assert_eq!(
                (up.bytes, up.checksum),
                (length as u64, Checksum::of(&bytes))
            );
            assert_eq!(advanced, length as u64);
            let down = repository
                .download("segments/logs/day=1/x.parquet", &to, &mut silent)
                .unwrap();
            assert_eq!(down, up);
            assert_eq!(fs::read(&to).unwrap(), bytes);
        }
        let segments = repository.segments().unwrap();
        assert_eq!(segments.len(), 1);
        assert_eq!(segments["segments/logs/day=1/x.parquet"], (16 << 20) + 7);
        let absent = repository.download("segments/none", &dir.join("none"), &mut silent);
        assert!(
            matches!(absent, Err(BackupError::Absent { .. })),
            "{absent:?}"
        );
    });
}

#[test]
fn a_place_belongs_to_one_store() {
    places(|repository, _dir| {
        repository.claim("a").unwrap();
        repository.claim("a").unwrap();
        let refused = repository.claim("b");
        assert!(
            matches!(refused, Err(BackupError::ForeignStore { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn backups_without_a_whole_manifest_do_not_count() {
    places(|repository, dir| {
        let from = dir.join("from");
        fs::write(&from, b"abc").unwrap();
        repository
            .upload("backups/torn/catalog.sqlite", &from, &mut silent)
            .unwrap();
        repository.complete(&manifest("late", 2, &[])).unwrap();
        repository.complete(&manifest("early", 1, &[])).unwrap();
        let mut bytes = manifest("bad", 3, &[]).to_bytes().unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&from, &bytes).unwrap();
        repository
            .upload(&Manifest::name("bad"), &from, &mut silent)
            .unwrap();
        let (found, damaged) = repository.backups().unwrap();
        let ids: Vec<&str> = found.iter().map(|manifest| manifest.id.as_str()).collect();
        assert_eq!(ids, ["early", "late"]);
        assert!(matches!(damaged.as_slice(), [BackupError::Damaged { .. }]));
    });
}

#[test]
fn sweeping_leaves_what_kept_backups_need_and_nothing_else() {
    places(|repository, dir| {
        let from = dir.join("from");
        fs::write(&from, b"abc").unwrap();
        for name in [
            "segments/logs/day=1/old.parquet",
            "segments/logs/day=1/both.parquet",
            "segments/logs/day=2/new.parquet",
            "backups/one/catalog.sqlite",
            "backups/two/catalog.sqlite",
            "backups/torn/catalog.sqlite",
        ] {
            repository.upload(name, &from, &mut silent).unwrap();
        }
        let one = manifest(
            "one",
            1,
            &[
                "segments/logs/day=1/old.parquet",
                "segments/logs/day=1/both.parquet",
                "backups/one/catalog.sqlite",
            ],
        );
        let two = manifest(
            "two",
            2,
            &[
                "segments/logs/day=1/both.parquet",
                "segments/logs/day=2/new.parquet",
                "backups/two/catalog.sqlite",
            ],
        );
        repository.complete(&one).unwrap();
        repository.complete(&two).unwrap();
        repository.sweep(&[one.clone(), two.clone()]).unwrap();
        assert_eq!(repository.backups().unwrap().0.len(), 2);
        assert!(repository.sweep(std::slice::from_ref(&two)).unwrap() > 6);
        assert_eq!(repository.backups().unwrap().0, std::slice::from_ref(&two));
        let to = dir.join("to");
        for file in &two.files {
            repository.download(&file.object, &to, &mut silent).unwrap();
        }
        let mut segments: Vec<String> = repository.segments().unwrap().into_keys().collect();
        segments.sort();
        assert_eq!(
            segments,
            [
                "segments/logs/day=1/both.parquet",
                "segments/logs/day=2/new.parquet"
            ]
        );
        assert_eq!(repository.sweep(&[two]).unwrap(), 0);
    });
}

#[test]
fn places_that_make_no_sense_are_refused() {
    for location in ["s3://", "s3:///x", "ftp://host/x"] {
        assert!(
            matches!(
                Repository::open(location),
                Err(BackupError::Location { .. })
            ),
            "{location}"
        );
    }
}

#[test]
fn a_newer_manifest_is_refused_by_its_version() {
    let newer = Manifest {
        format: 2,
        ..manifest("x", 1, &[])
    };
    let read = Manifest::from_bytes("x", &newer.to_bytes().unwrap());
    assert!(
        matches!(
            read,
            Err(BackupError::NewerFormat {
                found: 2,
                known: 1,
                ..
            })
        ),
        "{read:?}"
    );
}

proptest! {
    #[test]
    fn no_bytes_are_taken_for_a_manifest(bytes: Vec<u8>, bit: usize) {
        prop_assert!(Manifest::from_bytes("x", &bytes).is_err());
        let mut whole = manifest("x", 1, &["a"]).to_bytes().unwrap();
        let at = bit % (whole.len() * 8);
        whole[at / 8] ^= 1 << (at % 8);
        // The case of a hexadecimal digit is the one bit that means nothing.
        let read = Manifest::from_bytes("x", &whole);
        prop_assert!(read.is_err() || read.unwrap() == manifest("x", 1, &["a"]));
    }
}
