//! Every diagnostic of the template stage, word for word.

use super::*;
use crate::config::golden;
use crate::diagnostic::Diagnostics;

pub(super) fn fault(template: &str) -> String {
    let files = [
        ("bad.txt", "one\n{{ nope.x }}"),
        ("open.txt", "{% if true %}"),
        ("required.txt", "{% block r required %}{% endblock %}"),
        ("circle.txt", "{% extends 'circle2.txt' %}"),
        ("circle2.txt", "{% extends 'circle.txt' %}"),
    ];
    let (result, map) =
        try_render(template, &files, &Limits { template_steps: 100_000, ..Limits::default() });
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(result.unwrap_err());
    golden::show(&diagnostics, &map)
}

#[test]
fn what_jinja2_refuses_too() {
    for template in [
        "{{ 5|truncate(3) }}",
        "{{ 5|indent }}",
        "{{ nope|wordwrap }}",
        "{% filter length %}abc{% endfilter %}",
        "{% for x in [1] if x %}{{ loop([2]) }}{% endfor %}",
        "{{ 1__0 }}",
        "{{ 1. }}",
        "{{ 1_ }}",
        "{{ 007 }}",
        "{{ [] in {}.keys() }}",
    ] {
        let fault = fault(template);
        assert!(fault.starts_with("E0111 ") || fault.starts_with("E0110 "), "{template}: {fault}");
    }
}

#[test]
fn undefined_attribute() {
    insta::assert_snapshot!(fault("a: 1\n{{ site.name }}\n"), @r#"
    E0111 `site` is undefined
      maestro.yaml:2:4 "site"
    "#);
}

#[test]
fn undefined_environment_variable() {
    insta::assert_snapshot!(fault("{{ env.NOPE.x }}"), @r#"
    E0111 `env.NOPE` is undefined
      maestro.yaml:1:4 "env.NOPE"
      help: set the environment variable `NOPE`, or give a default: `env.get('NOPE', 'default')`
    "#);
}

#[test]
fn undefined_item() {
    insta::assert_snapshot!(fault("{{ env['NOPE']['x'] }}"), @r#"
    E0111 `env['NOPE']` is undefined
      maestro.yaml:1:4 "env['NOPE']"
      help: set the environment variable `NOPE`, or give a default: `env.get('NOPE', 'default')`
    "#);
}

#[test]
fn undefined_by_another_name() {
    insta::assert_snapshot!(fault("{% set x = env.NOPE %}\n{{ x.y }}"), @r#"
    E0111 `env.NOPE` is undefined
      maestro.yaml:2:4 "x.y" needed here
      maestro.yaml:1:12 "env.NOPE" this has no value
      help: set the environment variable `NOPE`, or give a default: `env.get('NOPE', 'default')`
    "#);
}

#[test]
fn undefined_in_arithmetic() {
    insta::assert_snapshot!(fault("{{ env.NOPE + 1 }}"), @r#"
    E0111 `env.NOPE` is undefined
      maestro.yaml:1:4 "env.NOPE"
      help: set the environment variable `NOPE`, or give a default: `env.get('NOPE', 'default')`
    "#);
}

#[test]
fn undefined_function() {
    insta::assert_snapshot!(fault("{{ rnage(3) }}"), @r#"
    E0111 `rnage` is undefined
      maestro.yaml:1:4 "rnage"
      help: did you mean `range`?
    "#);
}

#[test]
fn number_and_string() {
    insta::assert_snapshot!(fault("{{ env.NUM + 1 }}"), @r#"
    E0111 `+` does not work between a string and an integer
      maestro.yaml:1:4 "env.NUM + 1"
      help: `~` joins values of all kinds as text
      help: `|int` makes a number of a string; environment variables are strings
    "#);
}

#[test]
fn string_and_number() {
    insta::assert_snapshot!(fault("{{ 'a' + 1 }}"), @r#"
    E0111 `+` does not work between a string and an integer
      maestro.yaml:1:4 "'a' + 1"
      help: `~` joins values of all kinds as text
      help: `|int` makes a number of a string; environment variables are strings
    "#);
}

#[test]
fn no_order() {
    insta::assert_snapshot!(fault("{{ [1, 'a']|sort }}"), @r#"
    E0111 `<` does not work between a string and an integer
      maestro.yaml:1:13 "sort"
      help: `|int` makes a number of a string; environment variables are strings
    "#);
}

#[test]
fn no_such_method() {
    insta::assert_snapshot!(fault("{{ 'a'.uper() }}"), @r#"
    E0111 a string has no method `uper`
      maestro.yaml:1:4 "'a'.uper"
      help: did you mean `upper`?
    "#);
}

#[test]
fn no_such_filter() {
    insta::assert_snapshot!(fault("{{ 'a'|uper }}"), @r#"
    E0110 there is no filter `uper`
      maestro.yaml:1:8 "uper"
      help: did you mean `upper`?
    "#);
}

#[test]
fn no_such_test() {
    insta::assert_snapshot!(fault("{{ 1 is od }}"), @r#"
    E0110 there is no test `od`
      maestro.yaml:1:9 "od"
      help: did you mean `odd`?
    "#);
}

#[test]
fn no_such_parameter() {
    insta::assert_snapshot!(fault("{{ 'a b'|truncate(lenght=3) }}"), @r#"
    E0111 `truncate` has no parameter `lenght`
      maestro.yaml:1:10 "truncate(lenght=3)"
      help: did you mean `length`?
    "#);
}

#[test]
fn too_many_arguments() {
    insta::assert_snapshot!(fault("{{ 'a'|upper(1) }}"), @r#"
    E0111 `upper` takes no argument, not 1
      maestro.yaml:1:8 "upper(1)"
    "#);
}

#[test]
fn missing_argument() {
    insta::assert_snapshot!(fault("{{ [].append() }}"), @r#"
    E0111 `append` needs an argument `object`
      maestro.yaml:1:4 "[].append()"
    "#);
}

#[test]
fn not_callable() {
    insta::assert_snapshot!(fault("{{ env.FOO() }}"), @r#"
    E0111 a string cannot be called
      maestro.yaml:1:4 "env.FOO()"
    "#);
}

#[test]
fn division_by_zero() {
    insta::assert_snapshot!(fault("{{ 1 / 0 }}"), @r#"
    E0111 division by zero
      maestro.yaml:1:4 "1 / 0"
    "#);
}

#[test]
fn not_iterable() {
    insta::assert_snapshot!(fault("{% for x in 5 %}{% endfor %}"), @r#"
    E0111 an integer cannot be iterated over
      maestro.yaml:1:13 "5"
    "#);
}

#[test]
fn wrong_number_of_names() {
    insta::assert_snapshot!(fault("{% for a, b in [(1, 2, 3)] %}{% endfor %}"), @r#"
    E0111 2 names for 3 values
      maestro.yaml:1:8 "a, b"
    "#);
}

#[test]
fn pop_from_an_empty_list() {
    insta::assert_snapshot!(fault("{{ [].pop() }}"), @r#"
    E0111 `pop` from an empty list
      maestro.yaml:1:4 "[].pop()"
    "#);
}

#[test]
fn unhashable_key() {
    insta::assert_snapshot!(fault("{{ {[1]: 2} }}"), @r#"
    E0111 a list cannot be a key
      maestro.yaml:1:5 "[1]"
      note: only what cannot change can be a key
    "#);
}

#[test]
fn format_without_value() {
    insta::assert_snapshot!(fault("{{ '{} {}'.format(1) }}"), @r#"
    E0111 the format has no argument number 1
      maestro.yaml:1:4 "'{} {}'.format(1)"
    "#);
}

#[test]
fn percent_without_value() {
    insta::assert_snapshot!(fault("{{ '%s %s' % 'a' }}"), @r#"
    E0111 the format needs more values than are given
      maestro.yaml:1:4 "'%s %s' % 'a'"
    "#);
}

#[test]
fn percent_wants_a_number() {
    insta::assert_snapshot!(fault("{{ '%d' % env.NUM }}"), @r#"
    E0111 `%d` needs a number, not a string
      maestro.yaml:1:4 "'%d' % env.NUM"
      help: `|int` makes a number of a string; `%s` takes everything
    "#);
}

#[test]
fn attribute_of_no_namespace() {
    insta::assert_snapshot!(fault("{% set x = {} %}{% set x.y = 1 %}"), @r#"
    E0111 `x` is not a namespace, so it has no attributes to set
      maestro.yaml:1:26 "y"
      help: make it one first: `{% set x = namespace() %}`
    "#);
}

#[test]
fn macro_arguments() {
    insta::assert_snapshot!(fault("{% macro m(name) %}{% endmacro %}{{ m(nmae=1) }}"), @r#"
    E0111 the macro `m` has no parameter `nmae`
      maestro.yaml:1:37 "m(nmae=1)"
      help: did you mean `name`?
    "#);
}

#[test]
fn macro_without_caller() {
    insta::assert_snapshot!(fault("{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}"), @r#"
    E0111 the macro `m` does not use `caller()`, so `call` cannot be used with it
      maestro.yaml:1:38 "m()"
    "#);
}

#[test]
fn error_within_a_macro() {
    insta::assert_snapshot!(fault("{% macro m(x) %}\n{{ x.y.z }}\n{% endmacro %}\n{{ m({}) }}"), @r#"
    E0111 `x.y` is undefined
      maestro.yaml:2:4 "x.y"
      maestro.yaml:4:4 "m({})" called here
    "#);
}

#[test]
fn error_within_an_include() {
    insta::assert_snapshot!(fault("a\n{% include 'bad.txt' %}"), @r#"
    E0111 `nope` is undefined
      bad.txt:2:4 "nope"
      maestro.yaml:2:4 "include 'bad.txt'" included here
    "#);
}

#[test]
fn syntax_error_within_an_include() {
    insta::assert_snapshot!(fault("{% include 'open.txt' %}"), @r#"
    E0110 `if` is not closed
      open.txt:1:4 "if"
      maestro.yaml:1:4 "include 'open.txt'" included here
      help: close it with `{% endif %}`
    "#);
}

#[test]
fn missing_include() {
    insta::assert_snapshot!(fault("{% include 'nope.txt' %}"), @r#"
    E0111 there is no template `nope.txt`
      maestro.yaml:1:4 "include 'nope.txt'"
      note: templates are looked for in the directory of the environment file
    "#);
}

#[test]
fn missing_import() {
    insta::assert_snapshot!(fault("{% import 'nope.txt' as x %}"), @r#"
    E0111 there is no template `nope.txt`
      maestro.yaml:1:4 "import 'nope.txt' as x"
      note: templates are looked for in the directory of the environment file
    "#);
}

#[test]
fn missing_parent() {
    insta::assert_snapshot!(fault("{% extends 'nope.txt' %}"), @r#"
    E0111 there is no template `nope.txt`
      maestro.yaml:1:4 "extends 'nope.txt'"
      note: templates are looked for in the directory of the environment file
    "#);
}

#[test]
fn none_of_the_includes() {
    insta::assert_snapshot!(fault("{% include ['a', 'b'] %}"), @r#"
    E0111 none of these templates exists: `a`, `b`
      maestro.yaml:1:4 "include ['a', 'b']"
    "#);
}

#[test]
fn include_outside_of_the_directory() {
    insta::assert_snapshot!(fault("{% include '../secret.txt' %}"), @r#"
    E0111 there is no template `../secret.txt`
      maestro.yaml:1:4 "include '../secret.txt'"
      note: templates are looked for in the directory of the environment file and below it, so `..` finds nothing
    "#);
}

#[test]
fn required_block() {
    insta::assert_snapshot!(fault("{% extends 'required.txt' %}"), @r#"
    E0111 block `r` must be defined by a template that extends this one
      required.txt:1:4 "block r required"
    "#);
}

#[test]
fn no_parent_block() {
    insta::assert_snapshot!(fault("{% block a %}{{ super() }}{% endblock %}"), @r#"
    E0111 there is no parent of block `a`
      maestro.yaml:1:17 "super()"
    "#);
}

#[test]
fn inheritance_in_a_circle() {
    insta::assert_snapshot!(fault("{% extends 'circle.txt' %}"), @r#"
    E0112 the template does not come to an end
      circle2.txt:1:4 "extends 'circle.txt'"
      note: it did more work than any environment needs
      help: look for a loop over too many items, or a recursion that does not stop
    "#);
}

#[test]
fn autoescape() {
    insta::assert_snapshot!(fault("{% autoescape true %}{% endautoescape %}"), @r#"
    E0111 `autoescape` is not available
      maestro.yaml:1:15 "true"
      help: escape single values with the filter `e`
    "#);
}

#[test]
fn randomness() {
    insta::assert_snapshot!(fault("{{ [1]|random }}{{ lipsum() }}"), @r#"
    E0111 `random` is not available
      maestro.yaml:1:8 "random"
      note: the same file must always mean the same
    "#);
}

#[test]
fn unknown_tag() {
    insta::assert_snapshot!(fault("{% fro x in y %}"), @r#"
    E0110 there is no tag `fro`
      maestro.yaml:1:4 "fro"
      help: did you mean `for`?
    "#);
}

#[test]
fn no_loop_controls() {
    insta::assert_snapshot!(fault("{% for x in [1] %}{% break %}{% endfor %}"), @r#"
    E0110 there is no tag `break`
      maestro.yaml:1:22 "break"
      help: filter the loop instead: `{% for x in items if condition %}`
    "#);
}
