//! Diagnostics of templates that cannot be read, word for word.

use super::faults::fault;

#[test]
fn unclosed_tag() {
    insta::assert_snapshot!(fault("a\n{% if true %}\nb\n"), @r#"
    E0110 `if` is not closed
      maestro.yaml:2:4 "if"
      help: close it with `{% endif %}`
    "#);
}

#[test]
fn unclosed_set() {
    insta::assert_snapshot!(fault("{% set x %}abc"), @r#"
    E0110 `set` is not closed
      maestro.yaml:1:4 "set"
      help: close it with `{% endset %}`
    "#);
}

#[test]
fn unclosed_macro_within_for() {
    insta::assert_snapshot!(fault("{% for x in [1] %}{% macro m() %}{% endfor %}"), @r#"
    E0110 `endfor` where `endmacro` is needed
      maestro.yaml:1:37 "endfor"
      maestro.yaml:1:22 "macro" this is still open
    "#);
}

#[test]
fn stray_end() {
    insta::assert_snapshot!(fault("{% endif %}"), @r#"
    E0110 `endif` closes nothing
      maestro.yaml:1:4 "endif"
    "#);
}

#[test]
fn unclosed_expression() {
    insta::assert_snapshot!(fault("a: {{ x\nb: 1\n"), @r#"
    E0110 `{{` is not closed
      maestro.yaml:1:4 "{{" it is still open
      maestro.yaml:2:1 "b" expected `}}` before this
      help: close it with `}}`
    "#);
}

#[test]
fn unclosed_expression_in_a_mapping() {
    insta::assert_snapshot!(fault("ships:\n  a: {ip: \"{{ ip\"}\n  b: {ip: \"{{ env.IP }}\"}\n"), @r#"
    E0110 `{{` is not closed
      maestro.yaml:2:12 "{{" it is still open
      maestro.yaml:2:17 "\"}" expected `}}` before this
      help: close it with `}}`
    "#);
}

#[test]
fn unclosed_expression_at_the_end() {
    insta::assert_snapshot!(fault("a: \"{{ x\"\n"), @r#"
    E0110 `{{` is not closed
      maestro.yaml:1:5 "{{"
      help: close it with `}}`
    "#);
    insta::assert_snapshot!(fault("a: {{ x\n"), @r#"
    E0110 `{{` is not closed
      maestro.yaml:1:4 "{{"
      help: close it with `}}`
    "#);
}

#[test]
fn expression_closed_with_one_brace() {
    insta::assert_snapshot!(fault("a: {{ x }\nb: {c: 1}\n"), @r#"
    E0110 `{{` is not closed
      maestro.yaml:1:4 "{{" it is still open
      maestro.yaml:1:9 "}" expected `}}` before this
      help: close it with `}}`
    "#);
}

#[test]
fn tag_without_its_brackets() {
    insta::assert_snapshot!(fault("{% if x\na: 1\n{% endif %}\n"), @r#"
    E0110 `{%` is not closed
      maestro.yaml:1:1 "{%" it is still open
      maestro.yaml:2:1 "a" expected `%}` before this
      help: close it with `%}`
    "#);
}

#[test]
fn tag_without_its_brackets_at_the_end() {
    insta::assert_snapshot!(fault("{% if x"), @r#"
    E0110 `{%` is not closed
      maestro.yaml:1:1 "{%"
      help: close it with `%}`
    "#);
}

/// Whatever is amiss in it, it is not that it has no end.
#[test]
fn closed_expression_of_two_lines() {
    insta::assert_snapshot!(fault("a: {{ x\nb }}\n"), @r#"
    E0110 unexpected identifier, expected `}}`
      maestro.yaml:2:1 "b"
    "#);
}

#[test]
fn brackets_within_brackets() {
    insta::assert_snapshot!(fault("a: {{ {{ x }} }}\n"), @r#"
    E0110 unexpected `}`, expected `:`
      maestro.yaml:1:12 "}"
    "#);
    insta::assert_snapshot!(fault("a: {{ '{{' 1 }}\n"), @r#"
    E0110 unexpected integer, expected `}}`
      maestro.yaml:1:12 "1"
    "#);
    insta::assert_snapshot!(fault("a: {{ {'b': {'c': 1}} 1 }}\n"), @r#"
    E0110 unexpected integer, expected `}}`
      maestro.yaml:1:23 "1"
    "#);
}

#[test]
fn unclosed_string() {
    insta::assert_snapshot!(fault("{{ 'a }}"), @r#"
    E0110 a string is not closed
      maestro.yaml:1:4 "'"
    "#);
}

#[test]
fn unclosed_comment() {
    insta::assert_snapshot!(fault("a {# b\n"), @r#"
    E0110 a comment is not closed
      maestro.yaml:1:3 "{#"
      help: close it with `#}`
    "#);
}

#[test]
fn unclosed_raw() {
    insta::assert_snapshot!(fault("{% raw %} b\n"), @r#"
    E0110 `raw` is not closed
      maestro.yaml:1:1 "{%"
      help: close it with `{% endraw %}`
    "#);
}

#[test]
fn empty_expression() {
    insta::assert_snapshot!(fault("{{ }}"), @r#"
    E0110 unexpected `}}`
      maestro.yaml:1:4 "}}"
    "#);
}

#[test]
fn two_names() {
    insta::assert_snapshot!(fault("{{ foo bar }}"), @r#"
    E0110 unexpected identifier, expected `}}`
      maestro.yaml:1:8 "bar"
    "#);
}

#[test]
fn missing_operand() {
    insta::assert_snapshot!(fault("{{ 1 + }}"), @r#"
    E0110 unexpected `}}`
      maestro.yaml:1:8 "}}"
    "#);
}

#[test]
fn for_without_in() {
    insta::assert_snapshot!(fault("{% for x y %}{% endfor %}"), @r#"
    E0110 unexpected identifier, expected `in`
      maestro.yaml:1:10 "y"
    "#);
}

#[test]
fn assignment_to_a_number() {
    insta::assert_snapshot!(fault("{% set 5 = 1 %}"), @r#"
    E0110 unexpected integer, expected identifier
      maestro.yaml:1:8 "5"
    "#);
}

#[test]
fn block_twice() {
    insta::assert_snapshot!(fault("{% block a %}{% endblock %}{% block a %}{% endblock %}"), @r#"
    E0110 block 'a' defined twice
      maestro.yaml:1:37 "a"
    "#);
}

#[test]
fn bad_character() {
    insta::assert_snapshot!(fault("{{ a ? b }}"), @r#"
    E0110 this character means nothing in an expression
      maestro.yaml:1:6 "?"
    "#);
}
