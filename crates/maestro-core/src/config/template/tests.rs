mod faults;
mod filters;
mod limits;
mod python;
mod syntax;

use super::*;
use crate::source::{MapSources, Origin, SourceKind, SourceText};
use std::sync::Arc;

/// Renders a template with some files beside it.
fn try_render(
    template: &str,
    files: &[(&str, &str)],
    limits: &Limits,
) -> (Result<Rendered, Diagnostic>, SourceMap) {
    let mut sources = MapSources::of(template).with_variable("FOO", "bar").with_variable("NUM", "42");
    sources = sources.with_variable("get", "shadowed").with_variable("TAG", "1.20");
    for (name, text) in files {
        sources = sources.with_file(name, *text);
    }
    let mut map = SourceMap::default();
    let name = sources.display_name(SourceKind::Environment, "");
    let id = map.add(SourceText { name, origin: Origin::File, text: Arc::from(template) });
    (render(id, &sources, limits, &mut map), map)
}

fn rendered_with(template: &str, files: &[(&str, &str)]) -> String {
    match try_render(template, files, &Limits::default()).0 {
        Ok(rendered) => rendered.text,
        Err(diagnostic) => panic!("{template:?}: {diagnostic:?}"),
    }
}

fn rendered(template: &str) -> String {
    rendered_with(template, &[])
}

/// Each expression with what Jinja2 3.1.6 prints for it.
fn expressions(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(rendered(&format!("{{{{ {expression} }}}}")), *expected, "{expression}");
    }
}

/// Each template with what Jinja2 3.1.6 makes of it.
fn templates(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(rendered(template), *expected, "{template}");
    }
}

#[test]
fn text_without_tags_stays_as_it_is_but_for_one_line_end() {
    templates(&[
        ("", ""),
        ("a\n", "a"),
        ("a\n\n", "a\n"),
        ("{a} %} #}", "{a} %} #}"),
        ("é\n{# c #}\n", "é\n"),
    ]);
}

#[test]
fn white_space_is_cut_where_asked() {
    templates(&[
        ("x\n{% if true %}\ny\n{% endif %}\nz\n", "x\n\ny\n\nz"),
        ("a  {%- if true -%}  b  {%- endif -%}  c", "abc"),
        ("a{#- c -#} b", "ab"),
        ("{% for i in range(3) -%}\n {{ i }}\n{%- endfor %}", "012"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ '}}' }}{{ '%}' }}{{ \"{{\" }}", "}}%}{{"),
    ]);
}

#[test]
fn the_environment_is_a_python_mapping() {
    expressions(&[
        ("env.FOO", "bar"),
        ("env['FOO']", "bar"),
        ("env.NOPE", ""),
        ("env.get('NOPE', 'default')", "default"),
        ("env.get('NOPE')", "None"),
        ("env['get']", "shadowed"),
        ("'FOO' in env", "True"),
        ("env.NUM|int + 1", "43"),
        ("env.keys()|sort|first", "FOO"),
        ("env.items()|list|length", "4"),
        ("env.keys() == env.keys()", "True"),
        ("{'a': 1, 'b': 2}.keys() == {'b': 3, 'a': 4}.keys()", "True"),
        ("{'a': 1}.keys() == {'a': 1, 'b': 2}.keys()", "False"),
        ("{'a': 1}.keys() == {'b': 1}.keys()", "False"),
        ("{'a': 1, 'b': 2}.items() == {'b': 2, 'a': 1.0}.items()", "True"),
        ("{'a': 1}.items() == {'a': 2}.items()", "False"),
        ("{'a': 1}.keys() == {'a': 1}.items()", "False"),
        ("{'a': 1}.values() == {'a': 1}.values()", "False"),
        ("env.NOPE|default('x')", "x"),
    ]);
}

#[test]
fn escapes_and_numbers_are_those_of_python() {
    expressions(&[
        (r"'\v' == '\x0b'", "True"),
        (r"'\a' 'b' ~ '\v'", "\u{7}b\u{b}"),
        (r"'a\/b'", r"a\/b"),
        (r"'\a\101\18'", "\u{7}A\u{1}8"),
        (r"'\U0001F600'", "😀"),
        ("'a\\\nb'", "ab"),
        ("1_0 + 0x1F + 0o17", "56"),
        ("00 + 01.5", "1.5"),
        ("5.denominator", "1"),
        ("{1: 'a', true: 'b'}", "{1: 'b'}"),
    ]);
}

#[test]
fn views_show_what_becomes_of_a_dictionary() {
    templates(&[
        (
            "{% set d = {} %}{% set v = d.keys() %}{% set _ = d.update({'a': 1}) %}{{ v|length }}{{ v }}",
            "1dict_keys(['a'])",
        ),
        ("{% set d = {'a': 1} %}{{ 'a' in d.keys() }}{{ 'b' in d.keys() }}", "TrueFalse"),
        ("{% set d = {'a': 1} %}{{ ('a', 1) in d.items() }}{{ ('a', 2) in d.items() }}", "TrueFalse"),
        ("{% set d = {'a': 1} %}{{ 1 in d.values() }}{{ 2 in d.values() }}", "TrueFalse"),
    ]);
}

/// Each with what Jinja2 makes of it.
#[test]
fn the_if_of_a_loop_is_asked_as_it_goes() {
    templates(&[
        ("{% for x in [1, 2, 3, 4] if x is odd %}{{ loop.last }} {% endfor %}", "False True "),
        ("{% for x in [1, 2, 3, 4] if x is odd %}{{ loop.nextitem }};{% endfor %}", "3;;"),
        // The loop has ended, and asks no more.
        (
            "{% set n = namespace() %}{% set l = [1] %}{% for x in l if true %}{% set n.l = loop %}{% endfor %}\
             {% set _ = l.append(2) %}{{ n.l.length }}",
            "1",
        ),
    ]);
}

#[test]
fn includes_see_everything_and_imports_nothing() {
    let files = [
        ("inc.txt", "[{{ x }}|{{ env is defined }}]\n"),
        ("sub/deep.txt", "deep"),
        (
            "m.txt",
            "{% macro f(a) %}<{{ a }}{{ env is defined }}>{% endmacro %}{% set v = 1 %}{% set _p = 2 %}junk",
        ),
        ("item.txt", "({{ item }}-{{ loop.index if loop is defined }})"),
        (
            "count.txt",
            "{% set l = [] %}{% macro add(x) %}{% set _ = l.append(x) %}{{ l|length }}{% endmacro %}",
        ),
    ];
    let cases = [
        ("{% set x = 5 %}{% include 'inc.txt' %}", "[5|True]"),
        ("{% set x = 5 %}{% include 'inc.txt' without context %}", "[|False]"),
        ("{% include ['nope.txt', 'inc.txt'] %}", "[|True]"),
        ("{% include 'nope.txt' ignore missing %}ok", "ok"),
        ("{% include './sub//deep.txt' %}", "deep"),
        ("{% include 'sub' ~ '/deep.txt' %}", "deep"),
        // As with Jinja2, what is included sees `loop` where the loop itself speaks of it.
        ("{% for item in [1,2] %}{% include 'item.txt' %}{% endfor %}", "(1-)(2-)"),
        (
            "{% for item in [1,2] %}{{ loop.first }}{% include 'item.txt' %}{% endfor %}",
            "True(1-1)False(2-2)",
        ),
        ("{% import 'm.txt' as m %}{{ m.f(1) }}{{ m.v }}{{ m._p }}", "<1False>1"),
        ("{% import 'm.txt' as m with context %}{{ m.f(1) }}", "<1True>"),
        ("{% import 'm.txt' as m %}[{{ m }}]", "[junk]"),
        ("{% from 'm.txt' import f as g, v %}{{ g(1) }}{{ v }}", "<1False>1"),
        ("{% from 'm.txt' import nope %}[{{ nope }}]", "[]"),
        // One module, however often it is imported.
        ("{% import 'count.txt' as a %}{{ a.add(1) }}{% import 'count.txt' as b %}{{ b.add(2) }}", "12"),
    ];
    for (template, expected) in cases {
        assert_eq!(rendered_with(template, &files), expected, "{template}");
    }
}

#[test]
fn templates_inherit() {
    let files = [
        ("base.txt", "A{% block one %}1{% endblock %}B{% block two %}2{{ y }}{% endblock %}C{{ z }}"),
        ("mid.txt", "{% extends 'base.txt' %}{% block one %}m({{ super() }}){% endblock %}"),
        ("required.txt", "{% block r required %}{% endblock %}"),
    ];
    let cases = [
        ("{% extends 'base.txt' %}", "A1B2C"),
        (
            "{% extends 'base.txt' %}{% block one %}c({{ super() }}){% endblock %}junk{% set y = 7 %}",
            "Ac(1)B27C",
        ),
        ("{% extends 'mid.txt' %}{% block one %}c({{ super() }}){% endblock %}", "Ac(m(1))B2C"),
        ("before{% extends 'base.txt' %}after", "beforeA1B2C"),
        ("{% if true %}{% extends 'base.txt' %}{% endif %}{% block one %}c{% endblock %}", "AcB2C"),
        ("{% extends 'required.txt' %}{% block r %}x{% endblock %}", "x"),
        ("{% block a %}x{% endblock %}{{ self.a() }}", "xx"),
        ("{% for i in [1,2] %}{% block b %}[{{ i }}]{% endblock %}{% endfor %}", "[][]"),
        ("{% for i in [1,2] %}{% block b scoped %}[{{ i }}]{% endblock %}{% endfor %}", "[1][2]"),
    ];
    for (template, expected) in cases {
        assert_eq!(rendered_with(template, &files), expected, "{template}");
    }
}

#[test]
fn loops_know_where_they_are() {
    templates(&[
        (
            "{% for i in [1,2] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}\
             {{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }}|{% endfor %}",
            "1021TrueFalse212|2110FalseTrue211|",
        ),
        ("{% for i in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for i in nothing %}x{% else %}none{% endfor %}", "none"),
        ("{% for i in range(10) if i is odd %}{{ i }}{{ loop.index }}{% endfor %}", "1132537495"),
        ("{% for a, (b, c) in [(1,(2,3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"),
        ("{% for k, v in {'a':1,'b':2}.items() %}{{ k }}={{ v }};{% endfor %}", "a=1;b=2;"),
        (
            "{% for i in [[1,[2]],[3]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}@{{ loop.depth }}\
             {% endif %}{% endfor %}",
            "(1@2(2@3))(3@2)",
        ),
        ("{% for i in [1,2] %}{{ loop.cycle('a','b') }}{% endfor %}", "ab"),
        ("{% for i in [1,1,2] %}{{ loop.changed(i) }}{% endfor %}", "TrueFalseTrue"),
        (
            "{% for i in [1,2] %}{% set outer = loop %}{% for j in [3] %}{{ outer.index }}{{ loop.index }}{% endfor %}{% endfor %}",
            "1121",
        ),
        // A list may be changed while a loop goes over it.
        (
            "{% set l = [1] %}{% for i in l %}{{ i }}{% set _ = l.append(i + 1) if i < 4 %}{% endfor %}",
            "1234",
        ),
    ]);
}

#[test]
fn assignments_stay_in_their_scope() {
    templates(&[
        ("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"),
        ("{% for i in [1,2] %}{{ x }}{% set x = i %}{{ x }};{% endfor %}", "1;2;"),
        ("{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "1"),
        (
            "{% set ns = namespace(x=1) %}{% for i in [1,2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
            "4",
        ),
        ("{% set a = 5 %}{% with a=1, b=a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "155"),
        ("{% set x, y = 1, 2 %}{{ x }}{{ y }}", "12"),
        ("{% set x %}b {{ 1 }}{% endset %}{{ x|upper }}", "B 1"),
        ("{% set x | upper %}abc{% endset %}{{ x }}", "ABC"),
        ("{% filter replace('a','b')|upper %}aca{% endfilter %}", "BCB"),
    ]);
}

#[test]
fn macros_are_functions() {
    templates(&[
        (
            "{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(b=5, a=1) }} {{ m() }}",
            "1-2-1 1-5-1 -2-",
        ),
        ("{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=4) }}", "1(2,){'x': 4}"),
        ("{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "[1]"),
        ("{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(3) }}", "3210"),
        // A macro sees what its surroundings have become.
        ("{% macro m() %}{{ g }}{% endmacro %}{{ m() }}{% set g = 1 %}{{ m() }}", "1"),
        ("{% macro m(l=[]) %}{% set _ = l.append(1) %}{{ l }}{% endmacro %}{{ m() }}{{ m() }}", "[1][1]"),
        ("{% macro m(a) %}x{% endmacro %}{{ m.name }}{{ m.arguments }}", "m('a',)"),
    ]);
}

/// The shape of maestro-ng's own example: servers collected in one loop, used in the next.
#[test]
fn a_cluster_is_described_by_loops() {
    let template = "\
{%- set zookeepers = [] -%}
{%- for i in range(3) -%}
{%- set _ = zookeepers.append('zk{0}:{1}'.format(i + 1, 2181)) -%}
{%- endfor -%}
name: {{ env.FOO }}
services:
{%- for id, zk in [(1, 'a'), (2, 'b')] %}
  zk-{{ id }}:
    image: registry/zk:{{ env.TAG }}
    env: {SERVERS: \"{{ zookeepers|join(',') }}\", ID: {{ id }}}
{%- endfor %}
";
    insta::assert_snapshot!(rendered(template), @r#"
    name: bar
    services:
      zk-1:
        image: registry/zk:1.20
        env: {SERVERS: "zk1:2181,zk2:2181,zk3:2181", ID: 1}
      zk-2:
        image: registry/zk:1.20
        env: {SERVERS: "zk1:2181,zk2:2181,zk3:2181", ID: 2}
    "#);
}

#[test]
fn what_stands_in_a_file_is_traced_to_it() {
    let files = [("inc.txt", "in {{ 1 }} cluded\n")];
    let template = "a: {{ 'x' }} b\n{% macro m() %}mac{{ 1 }}ro{% endmacro %}{{ m() }}{% include 'inc.txt' %}{{ m()|upper }}";
    let (result, map) = try_render(template, &files, &Limits::default());
    let result = result.unwrap();
    assert_eq!(result.text, "a: x b\nmac1roin 1 cludedMAC1RO");
    let mut traced = Vec::new();
    for segment in &result.segments {
        let end = segment.rendered + segment.length;
        let here = &result.text[segment.rendered as usize..end as usize];
        let file = &map.get(segment.source).unwrap().text;
        let there = &file[segment.start as usize..(segment.start + segment.length) as usize];
        assert_eq!(here, there);
        traced.push(here);
    }
    assert_eq!(traced, ["a: ", " b\n", "mac", "ro", "in ", " cluded"]);
}
