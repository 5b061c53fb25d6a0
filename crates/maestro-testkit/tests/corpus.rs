//! What fuzzing found and kept, run again as ordinary tests.

use maestro_testkit::fuzzing::TARGETS;
use std::path::Path;

/// What needs the crate `maestro`, and is run again by its tests.
const ELSEWHERE: [&str; 1] = ["words"];

#[test]
fn kept_inputs_are_handled() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&std::fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no inputs are kept for {name}");
    }
}

#[test]
fn every_corpus_has_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let here = TARGETS.iter().any(|(target, _)| *target == name);
        assert!(here || ELSEWHERE.contains(&name.as_str()), "{name} has no target");
    }
}
