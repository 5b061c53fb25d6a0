//! `hooks:` below `deploy:`.

use crate::config::golden::show;
use crate::config::{Limits, load};
use crate::model::{Hook, HookPlace, Hooks};
use crate::source::MapSources;
use std::time::Duration;

fn file(service: &str, hooks: &str) -> String {
    format!(
        "__maestro: {{schema: 2}}\nname: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  {service}:\n    image: web\n    \
         deploy:\n      hooks: {hooks}\n    instances: {{s-1: {{ship: a}}, web.before-1: {{ship: a}}}}\n"
    )
}

fn hooks(text: &str) -> Hooks {
    let loaded = load(&MapSources::of(&*file("s", text)), &Limits::default());
    let environment = loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    assert_eq!(show(&loaded.diagnostics, &loaded.sources), "");
    Hooks::clone(&environment.services["s"].deploy.hooks)
}

fn complaint(service: &str, hooks: &str) -> String {
    let loaded = load(&MapSources::of(&*file(service, hooks)), &Limits::default());
    show(&loaded.diagnostics, &loaded.sources)
}

#[test]
fn they_are_read_as_people_write_them() {
    let hook = |place, command: &[&str], seconds| Hook {
        place,
        command: command.iter().map(ToString::to_string).collect(),
        timeout: Duration::from_secs(seconds),
    };
    let before = vec![
        hook(HookPlace::Container, &["bin/migrate", "--up"], 600),
        hook(HookPlace::Local, &["./announce", "it begins"], 30),
    ];
    let after = vec![hook(HookPlace::Container, &["bin/warm", "all caches"], 300)];
    let text = "{before: [{run: [bin/migrate, --up], timeout: 10m}, {local: [./announce, it begins], timeout: 30}], \
                after: [{run: bin/warm 'all caches'}]}";
    assert_eq!(hooks(text), Hooks { before, after });
    for nothing in ["", "{}", "{before: [], after: }"] {
        assert_eq!(hooks(nothing), Hooks::default());
    }
}

#[test]
fn what_could_not_be_run_is_refused() {
    insta::assert_snapshot!(complaint("s", "[bin/migrate]"), @r#"
    E0301 `hooks` of service `s` must be a mapping, not a list
      maestro.yaml:8:14 "[bin/migrate]"
    "#);
    insta::assert_snapshot!(complaint("s", "{befor: []}"), @r#"
    W0303 `hooks` of service `s` has no key `befor`; it is ignored
      maestro.yaml:8:15 "befor"
      help: did you mean `before`?
    "#);
    insta::assert_snapshot!(complaint("s", "{before: bin/migrate}"), @r#"
    E0301 `before` hooks of service `s` must be a list, not a string
      maestro.yaml:8:23 "bin/migrate"
      help: write `before: [{run: [bin/migrate]}]`
    "#);
    insta::assert_snapshot!(complaint("s", "{before: [bin/migrate]}"), @r#"
    E0301 `before` hook 1 of service `s` must be a mapping, not a string
      maestro.yaml:8:24 "bin/migrate"
    "#);
    insta::assert_snapshot!(complaint("s", "{before: [{run: [a], local: [b]}, {timeout: 1m}, {run: [], timout: 3}]}"), @r#"
    E0404 `before` hook 1 of service `s` has both `run` and `local`
      maestro.yaml:8:42 "[b]"
      help: make two hooks of it: they are run one after the other
    E0302 `before` hook 2 of service `s` has nothing to run
      maestro.yaml:8:48 "{timeout: 1m}"
      help: write `run: [program]` for a container of the image, `local: [program]` for the machine that deploys
    E0304 `run` of `before` hook 3 of service `s` is empty
      maestro.yaml:8:69 "[]"
    W0303 `before` hook 3 of service `s` has no key `timout`; it is ignored
      maestro.yaml:8:73 "timout"
      help: did you mean `timeout`?
    "#);
    insta::assert_snapshot!(complaint("s", "{after: [{run: ['', x]}, {local: ''}, {local: \"a 'b\"}]}"), @r#"
    E0304 `run` of `after` hook 1 of service `s` has an empty text where its program is to be
      maestro.yaml:8:29 "['', x]"
    E0304 `local` of `after` hook 2 of service `s` is empty
      maestro.yaml:8:47 "''"
    E0304 `local` of `after` hook 3 of service `s` cannot be split into words: a quotation is not closed
      maestro.yaml:8:60 "\"a 'b\""
    "#);
    insta::assert_snapshot!(complaint("s", "{after: [{run: [a], timeout: 0s}, {run: [a], timeout: soon}]}"), @r#"
    E0304 `timeout` of `after` hook 1 of service `s` is 0s: it could never come to its end
      maestro.yaml:8:43 "0s"
      help: write how long it may take, such as `10m`
    E0304 `timeout` of `after` hook 2 of service `s` must be a number of seconds, not `soon`
      maestro.yaml:8:68 "soon"
    "#);
    let many = format!("{{before: [{}]}}", ["{run: [a]}"; 17].join(", "));
    insta::assert_snapshot!(complaint("s", &many).lines().next().unwrap_or_default(), @"E0103 there are 17 `before` hooks of service `s`, and there may be 16");
}

/// A container has to have a name that an engine takes, and nobody else has.
#[test]
fn their_containers_need_names() {
    insta::assert_snapshot!(complaint("web", "{before: [{local: [a]}], after: [{run: [a]}]}"), @"");
    insta::assert_snapshot!(complaint("web", "{before: [{run: [a]}]}"), @r#"
    E0404 `web.before-1` is the name of an instance, and that of a container for hook before-1 of web
      maestro.yaml:9:33 "web.before-1"
      maestro.yaml:5:3 "web" the hook is of this service
      help: rename the instance
    "#);
    insta::assert_snapshot!(complaint("'the web'", "{before: [{run: [a]}]}"), @r#"
    E0304 a hook of service `the web` cannot be run in a container: `the web.before-1` cannot be the name of one
      maestro.yaml:5:3 "'the web'"
      note: the engine wants two or more of a-z A-Z 0-9 _ . - that begin with a letter or digit
    "#);
    assert_eq!(complaint("'the web'", "{before: [{local: [a]}]}"), "");
}
