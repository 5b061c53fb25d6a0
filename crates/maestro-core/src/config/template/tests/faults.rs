//! Every diagnostic of the template stage, word for word.

use super::*;
use crate::config::golden;
use crate::diagnostic::Diagnostics;

fn fault(template: &str) -> String {
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
fn undefined_attribute() {
    insta::assert_snapshot!(fault("a: 1\n{{ site.name }}\n"), @"");
}

#[test]
fn undefined_environment_variable() {
    insta::assert_snapshot!(fault("{{ env.NOPE.x }}"), @"");
}

#[test]
fn undefined_item() {
    insta::assert_snapshot!(fault("{{ env['NOPE']['x'] }}"), @"");
}

#[test]
fn undefined_by_another_name() {
    insta::assert_snapshot!(fault("{% set x = env.NOPE %}\n{{ x.y }}"), @"");
}

#[test]
fn undefined_in_arithmetic() {
    insta::assert_snapshot!(fault("{{ env.NOPE + 1 }}"), @"");
}

#[test]
fn undefined_function() {
    insta::assert_snapshot!(fault("{{ rnage(3) }}"), @"");
}

#[test]
fn number_and_string() {
    insta::assert_snapshot!(fault("{{ env.NUM + 1 }}"), @"");
}

#[test]
fn string_and_number() {
    insta::assert_snapshot!(fault("{{ 'a' + 1 }}"), @"");
}

#[test]
fn no_order() {
    insta::assert_snapshot!(fault("{{ [1, 'a']|sort }}"), @"");
}

#[test]
fn no_such_method() {
    insta::assert_snapshot!(fault("{{ 'a'.uper() }}"), @"");
}

#[test]
fn no_such_filter() {
    insta::assert_snapshot!(fault("{{ 'a'|uper }}"), @"");
}

#[test]
fn no_such_test() {
    insta::assert_snapshot!(fault("{{ 1 is od }}"), @"");
}

#[test]
fn no_such_parameter() {
    insta::assert_snapshot!(fault("{{ 'a b'|truncate(lenght=3) }}"), @"");
}

#[test]
fn too_many_arguments() {
    insta::assert_snapshot!(fault("{{ 'a'|upper(1) }}"), @"");
}

#[test]
fn missing_argument() {
    insta::assert_snapshot!(fault("{{ [].append() }}"), @"");
}

#[test]
fn not_callable() {
    insta::assert_snapshot!(fault("{{ env.FOO() }}"), @"");
}

#[test]
fn division_by_zero() {
    insta::assert_snapshot!(fault("{{ 1 / 0 }}"), @"");
}

#[test]
fn not_iterable() {
    insta::assert_snapshot!(fault("{% for x in 5 %}{% endfor %}"), @"");
}

#[test]
fn wrong_number_of_names() {
    insta::assert_snapshot!(fault("{% for a, b in [(1, 2, 3)] %}{% endfor %}"), @"");
}

#[test]
fn pop_from_an_empty_list() {
    insta::assert_snapshot!(fault("{{ [].pop() }}"), @"");
}

#[test]
fn unhashable_key() {
    insta::assert_snapshot!(fault("{{ {[1]: 2} }}"), @"");
}

#[test]
fn format_without_value() {
    insta::assert_snapshot!(fault("{{ '{} {}'.format(1) }}"), @"");
}

#[test]
fn percent_without_value() {
    insta::assert_snapshot!(fault("{{ '%s %s' % 'a' }}"), @"");
}

#[test]
fn percent_wants_a_number() {
    insta::assert_snapshot!(fault("{{ '%d' % env.NUM }}"), @"");
}

#[test]
fn attribute_of_no_namespace() {
    insta::assert_snapshot!(fault("{% set x = {} %}{% set x.y = 1 %}"), @"");
}

#[test]
fn macro_arguments() {
    insta::assert_snapshot!(fault("{% macro m(name) %}{% endmacro %}{{ m(nmae=1) }}"), @"");
}

#[test]
fn macro_without_caller() {
    insta::assert_snapshot!(fault("{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}"), @"");
}

#[test]
fn error_within_a_macro() {
    insta::assert_snapshot!(fault("{% macro m(x) %}\n{{ x.y.z }}\n{% endmacro %}\n{{ m({}) }}"), @"");
}

#[test]
fn error_within_an_include() {
    insta::assert_snapshot!(fault("a\n{% include 'bad.txt' %}"), @"");
}

#[test]
fn syntax_error_within_an_include() {
    insta::assert_snapshot!(fault("{% include 'open.txt' %}"), @"");
}

#[test]
fn missing_include() {
    insta::assert_snapshot!(fault("{% include 'nope.txt' %}"), @"");
}

#[test]
fn missing_import() {
    insta::assert_snapshot!(fault("{% import 'nope.txt' as x %}"), @"");
}

#[test]
fn missing_parent() {
    insta::assert_snapshot!(fault("{% extends 'nope.txt' %}"), @"");
}

#[test]
fn none_of_the_includes() {
    insta::assert_snapshot!(fault("{% include ['a', 'b'] %}"), @"");
}

#[test]
fn include_outside_of_the_directory() {
    insta::assert_snapshot!(fault("{% include '../secret.txt' %}"), @"");
}

#[test]
fn required_block() {
    insta::assert_snapshot!(fault("{% extends 'required.txt' %}"), @"");
}

#[test]
fn no_parent_block() {
    insta::assert_snapshot!(fault("{% block a %}{{ super() }}{% endblock %}"), @"");
}

#[test]
fn inheritance_in_a_circle() {
    insta::assert_snapshot!(fault("{% extends 'circle.txt' %}"), @"");
}

#[test]
fn autoescape() {
    insta::assert_snapshot!(fault("{% autoescape true %}{% endautoescape %}"), @"");
}

#[test]
fn randomness() {
    insta::assert_snapshot!(fault("{{ [1]|random }}{{ lipsum() }}"), @"");
}

#[test]
fn unknown_tag() {
    insta::assert_snapshot!(fault("{% fro x in y %}"), @"");
}

#[test]
fn no_loop_controls() {
    insta::assert_snapshot!(fault("{% for x in [1] %}{% break %}{% endfor %}"), @"");
}

#[test]
fn unclosed_tag() {
    insta::assert_snapshot!(fault("a\n{% if true %}\nb\n"), @"");
}

#[test]
fn unclosed_set() {
    insta::assert_snapshot!(fault("{% set x %}abc"), @"");
}

#[test]
fn unclosed_macro_within_for() {
    insta::assert_snapshot!(fault("{% for x in [1] %}{% macro m() %}{% endfor %}"), @"");
}

#[test]
fn stray_end() {
    insta::assert_snapshot!(fault("{% endif %}"), @"");
}

#[test]
fn unclosed_expression() {
    insta::assert_snapshot!(fault("a: {{ x\nb: 1\n"), @"");
}

#[test]
fn unclosed_string() {
    insta::assert_snapshot!(fault("{{ 'a }}"), @"");
}

#[test]
fn unclosed_comment() {
    insta::assert_snapshot!(fault("a {# b\n"), @"");
}

#[test]
fn unclosed_raw() {
    insta::assert_snapshot!(fault("{% raw %} b\n"), @"");
}

#[test]
fn empty_expression() {
    insta::assert_snapshot!(fault("{{ }}"), @"");
}

#[test]
fn two_names() {
    insta::assert_snapshot!(fault("{{ foo bar }}"), @"");
}

#[test]
fn missing_operand() {
    insta::assert_snapshot!(fault("{{ 1 + }}"), @"");
}

#[test]
fn for_without_in() {
    insta::assert_snapshot!(fault("{% for x y %}{% endfor %}"), @"");
}

#[test]
fn assignment_to_a_number() {
    insta::assert_snapshot!(fault("{% set 5 = 1 %}"), @"");
}

#[test]
fn block_twice() {
    insta::assert_snapshot!(fault("{% block a %}{% endblock %}{% block a %}{% endblock %}"), @"");
}

#[test]
fn bad_character() {
    insta::assert_snapshot!(fault("{{ a ? b }}"), @"");
}
