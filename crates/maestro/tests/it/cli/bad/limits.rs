//! Files that would take all memory or all day.

use super::trap::Trap;
use std::fmt::Write as _;

#[tokio::test]
async fn fifty_megabytes() {
    let trap = Trap::new();
    let line = "# nothing but comments, line after line, and still too much to read\n";
    trap.shell.write("maestro.yaml", trap.ships() + &line.repeat(50_000_000 / line.len()) + "services: {}\n");
    let ran = trap.refuses("start", 1).await;
    insta::assert_snapshot!(trap.redacted(&ran.stderr), @"
    error[E0103]: `maestro.yaml` is too large: 47 MiB, and the limit is 16 MiB
     |
     = help: check that this is the right file: no environment is that large

    ERROR: 1 error
    ");
    // Standard input has no length beforehand.
    let ran = trap.shell.run_with_input("-f - start", "maestro.yaml").await.exits(1);
    insta::assert_snapshot!(trap.redacted(&ran.stderr), @"
    error[E0103]: `standard input` is too large: more than 16 MiB
     |
     = help: check that this is the right file: no environment is that large

    ERROR: 1 error
    ");
    assert_eq!(trap.caught(), [""; 0]);
}

#[tokio::test]
async fn an_endless_file() {
    let trap = Trap::new();
    let ran = trap.refuses("-f /dev/zero start", 1).await;
    insta::assert_snapshot!(trap.redacted(&ran.stderr), @"
    error[E0103]: `/dev/zero` is too large: more than 16 MiB
     |
     = help: check that this is the right file: no environment is that large

    ERROR: 1 error
    ");
}

#[tokio::test]
async fn aliases_upon_aliases() {
    let trap = Trap::new();
    let mut text = "x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let above = format!("*x{}", level - 1);
        writeln!(text, "x{level}: &x{level} [{}]", [above.as_str(); 9].join(", ")).unwrap();
    }
    insta::assert_snapshot!(trap.of(&text).await, @"
    error[E0103]: the file stands for more than 5000000 values
      --> maestro.yaml:17:45
       |
    17 | x6: &x6 [*x5, *x5, *x5, *x5, *x5, *x5, *x5, *x5, *x5]
       |                                             ^^^ the limit is passed here, each alias counted as all that it stands for
       |
       = help: aliases of aliases multiply; merge what is shared with `<<` once, or write less

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn an_alias_within_itself() {
    let trap = Trap::new();
    insta::assert_snapshot!(trap.of("services: &all\n  web: *all\n").await, @"
    error[E0203]: `*all` stands inside of what it stands for
      --> maestro.yaml:12:8
       |
    11 | services: &all
       |           ---- the anchor
    12 |   web: *all
       |        ^^^^ this would nest without an end

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn merges_upon_merges() {
    let trap = Trap::new();
    let mut text = "m0: &m0 {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8}\n".to_owned();
    for level in 1..24 {
        let above = level - 1;
        writeln!(text, "m{level}: &m{level} {{k{level}: *m{above}, l{level}: *m{above}, <<: *m{above}}}")
            .unwrap();
    }
    insta::assert_snapshot!(trap.of(&text).await, @"
    error[E0103]: the file stands for more than 5000000 values
      --> maestro.yaml:22:38
       |
    22 | m11: &m11 {k11: *m10, l11: *m10, <<: *m10}
       |                                      ^^^^ the limit is passed here, each alias counted as all that it stands for
       |
       = help: aliases of aliases multiply; merge what is shared with `<<` once, or write less

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn a_deep_hole() {
    let trap = Trap::new();
    let text = format!("services: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    insta::assert_snapshot!(trap.of(&text).await, @"
    error[E0103]: lists and mappings nest more than 100 levels deep
      --> maestro.yaml:11:112
       |
    11 | …[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
       |                                                              ^

    ERROR: maestro.yaml: 1 error
    ");
}
