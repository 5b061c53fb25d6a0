//! What no template may do: take for ever, take the memory, or take the stack.

use super::*;
use crate::diagnostic::Code;
use proptest::prelude::*;

/// Small enough that a debug build reaches them at once.
const SMALL: Limits = Limits {
    file_bytes: 4 << 20,
    rendered_bytes: 1 << 20,
    template_steps: 100_000,
    template_bytes: 4 << 20,
    depth: 100,
    nodes: 1_000_000,
    text_bytes: 4 << 20,
    variables: 0,
    ports: 0,
    checks: 0,
    pattern_work: 0,
    replicas: 0,
    replicated: 0,
    placements: 0,
};

fn refused_as(template: &str, files: &[(&str, &str)]) -> Code {
    match try_render(template, files, &SMALL).0 {
        Err(diagnostic) => diagnostic.code,
        Ok(rendered) => panic!("{template:?} gave {} bytes", rendered.text.len()),
    }
}

#[test]
fn work_comes_to_an_end() {
    let endless = [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(10**4) %}{% for j in range(10**4) %}{% endfor %}{% endfor %}",
        "{{ range(10**9)|list }}",
        "{{ range(10**9)|sum }}",
        "{% set l = [1] %}{% for i in l %}{% set _ = l.append(1) %}{% endfor %}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(80) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(80) %}{% set ns.a = [ns.a, ns.a] %}\
         {% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% macro m(n) %}{% if n > 0 %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(30) }}",
        "{% set x = 'a'*1000000 %}{% for i in range(10**9) %}{% set y = x|upper %}{% endfor %}",
        "{% set x = 'a'*1000000 %}{% for i in range(10**9) %}{% set y = x == x ~ 'a' %}{% endfor %}",
        "{% set x = 'a'*1000000 %}{% for i in range(10**9) %}{% set y = x.isdigit() %}{% endfor %}",
        "{% set x = range(50000)|list %}{% for i in range(10**9) %}{% set y = x|first %}{% endfor %}",
        "{% set x = range(50000)|list %}{% for i in range(10**9) %}{% set y = x.insert(0, x.pop(0)) %}{% endfor %}",
        "{{ [1]|slice(10**10)|list }}",
    ];
    for template in endless {
        assert_eq!(refused_as(template, &[]), Code::TemplateRunaway, "{template}");
    }
    let fan = "{% include 'b' %}".repeat(10);
    let files =
        [("a", &*fan), ("b", "{% include 'c' %}{% include 'c' %}"), ("c", "{% include 'd' %}"), ("d", "x")];
    let many = format!("{{% for i in range(10**6) %}}{fan}{{% endfor %}}");
    assert_eq!(refused_as(&many, &files), Code::TemplateRunaway);
}

#[test]
fn memory_is_bounded() {
    let hungry = [
        "{{ 'a'*10**9 }}",
        "{{ [1]*10**9 }}",
        "{% set ns = namespace(a='aaaa') %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
        "{% set l = [1] %}{% for i in range(60) %}{% set _ = l.extend(l) %}{% endfor %}",
        "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('abcdefgh') }}",
        "{% macro m(x) %}{% set y %}a{{ x }}b{{ x }}c{% endset %}{{ m(y) }}{% endmacro %}{{ m('') }}",
        "{{ '{:>1000000000}'.format('a') }}",
        "{{ '{:.1000000000f}'.format(1.0) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10**12, 1) }}",
        "{{ '%.1000000000f' % 1 }}",
        "{{ 'a'|center(10**10) }}",
        "{{ 'a'.zfill(10**10) }}",
        "{{ 'a'|indent(10**10) }}",
        "{{ ('a\n'*10000)|indent(10000) }}",
        "{{ ('a'*100000).replace('a','b'*100000) }}",
        "{{ (['']*10000)|join('x'*100000) }}",
        "{{ ('\t'*10000).expandtabs(10**9) }}",
        "{{ ('a'*10000)|wordwrap(1, wrapstring='x'*10000) }}",
        "{{ [1]|batch(10**10, 'x')|list }}",
        "{{ [[[1]]]|tojson(10**9) }}",
    ];
    for template in hungry {
        assert_eq!(refused_as(template, &[]), Code::TemplateRunaway, "{template}");
    }
    let long = "{% for i in range(100) %}{{ 'a'*100000 }}{% endfor %}";
    assert_eq!(refused_as(long, &[]), Code::TooLarge);
}

#[test]
fn memory_that_is_let_go_is_there_again() {
    let template =
        "{% set ns = namespace(a='') %}{% for i in range(20) %}{% set ns.a = 'a'*1000000 %}{% endfor %}ok";
    assert_eq!(try_render(template, &[], &SMALL).0.unwrap().text, "ok");
}

#[test]
fn recursion_is_bounded() {
    let files = [
        ("self", "{% include 'self' %}"),
        ("import", "{% import 'import' as x %}"),
        ("even", "{% extends 'odd' %}"),
        ("odd", "{% extends 'even' %}"),
    ];
    let recursive = [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'self' %}",
        "{% import 'import' as x %}",
        "{% extends 'odd' %}",
        "{% set l=[] %}{% set _ = l.append(l) %}{% for i in l recursive %}{{ loop(i) }}{% endfor %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% macro m(n) %}{% if 1 %}{% for i in [1] %}{% with %}{{ [[[[[[m(n)]]]]]]|map('string')|join ~ (1+(1+n)) }}\
         {% endwith %}{% endfor %}{% endif %}{% endmacro %}{{ m(1) }}",
        "{% set ns = namespace(a=[]) %}{% for i in range(5000) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(a=()) %}{% for i in range(5000) %}{% set ns.a = (ns.a,) %}{% endfor %}{{ {ns.a: 1} }}",
    ];
    for template in recursive {
        assert_eq!(refused_as(template, &files), Code::TemplateRunaway, "{template}");
    }
    let deep = "{% macro m(n) %}{% if n > 0 %}{{ m(n-1) }}{% else %}ok{% endif %}{% endmacro %}{{ m(40) }}";
    assert_eq!(try_render(deep, &[], &SMALL).0.unwrap().text, "ok");
}

#[test]
fn syntax_does_not_nest_without_end() {
    let many = |piece: &str| piece.repeat(50_000);
    let nested = [
        format!("{{{{ {} }}}}", many("(")),
        format!("{{{{ {} }}}}", many("[")),
        format!("{{{{ 1{} }}}}", many("+1")),
        format!("{{{{ {}1 }}}}", many("not ")),
        format!("{{{{ {}1 }}}}", many("-")),
        format!("{{{{ a{} }}}}", many(".a")),
        format!("{{{{ a{} }}}}", many("|upper")),
        format!("{{{{ a{} }}}}", many("[0]")),
        format!("{{{{ a{} }}}}", many("()")),
        format!("{{{{ {}2 }}}}", many("1 if 0 else ")),
        format!("{{{{ 1 {} }}}}", many("is odd ")),
        format!("{{{{ 1 {} }}}}", many("< 1 ")),
        format!("{{% if 0 %}}{}{{% endif %}}", many("{% elif 0 %}")),
        many("{% if 1 %}"),
        format!("{{% set {}a = 1 %}}", many("(")),
    ];
    for template in nested {
        assert_eq!(refused_as(&template, &[]), Code::TemplateRunaway, "{}", &template[..40]);
    }
    let fair = [
        (format!("{{{{ {}1{} }}}}", "(".repeat(39), ")".repeat(39)), "1"),
        (format!("{{{{ 1{} }}}}", "+1".repeat(190)), "191"),
        (format!("{}x{}", "{% if 1 %}".repeat(59), "{% endif %}".repeat(59)), "x"),
        (format!("{{% if 0 %}}{}{{% else %}}x{{% endif %}}", "{% elif 0 %}".repeat(90)), "x"),
        (format!("{{{{ [{}]|length }}}}", vec!["1 ~ 2"; 1000].join(", ")), "1000"),
    ];
    for (template, expected) in fair {
        assert_eq!(try_render(&template, &[], &SMALL).0.unwrap().text, expected);
    }
}

/// Text that is nearly a template.
fn nearly_a_template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{ "),
        Just(" }}"),
        Just("{% "),
        Just(" %}"),
        Just("{%- "),
        Just(" -%}"),
        Just("{# "),
        Just(" #}"),
        Just("for x in "),
        Just("if "),
        Just("{% endfor %}"),
        Just("{% endif %}"),
        Just("else"),
        Just("set x = "),
        Just("[1, 2, 3]"),
        Just("{'a': x}"),
        Just("(1, 'é')"),
        Just("x"),
        Just("env"),
        Just(".FOO"),
        Just("['a']"),
        Just("[1:]"),
        Just("[::-1]"),
        Just("|join(',')"),
        Just("|list"),
        Just("|sort"),
        Just("|tojson"),
        Just("|int"),
        Just(".append(x)"),
        Just(".items()"),
        Just(".split('b')"),
        Just(".format(x, y=2)"),
        Just("'{:>5} {}'"),
        Just("'%5.1f'"),
        Just(" % "),
        Just(" + "),
        Just(" ~ "),
        Just(" * "),
        Just(" ** "),
        Just(" // "),
        Just(" is "),
        Just("defined"),
        Just("divisibleby 0"),
        Just(" in "),
        Just(" not "),
        Just("macro m(x) %}"),
        Just("{% endmacro %}"),
        Just("m(1)"),
        Just("loop.index"),
        Just("range(3)"),
        Just("-1"),
        Just("1e308"),
        Just("99999999999999999999"),
        Just("\n"),
        Just("a: b"),
        Just("include 'f'"),
        Just("namespace(a=1)"),
        Just("{% block b %}"),
        Just("{% endblock %}"),
        Just("super()"),
        Just("none"),
        Just("undefined"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nearly_a_template_never_panics(template in nearly_a_template()) {
        let (result, map) = try_render(&template, &[("f", "{{ x }} f")], &SMALL);
        match result {
            Ok(rendered) => prop_assert!(rendered.text.len() <= SMALL.rendered_bytes),
            Err(diagnostic) => {
                prop_assert!(!diagnostic.message.is_empty());
                for label in &diagnostic.labels {
                    let text = &map.get(label.span.source).unwrap().text;
                    prop_assert!(text.get(label.span.start as usize..label.span.end as usize).is_some());
                }
            }
        }
    }

    #[test]
    fn any_expression_never_panics(expression in "[ -~é\n]{0,40}") {
        let (result, _) = try_render(&format!("{{{{ {expression} }}}}"), &[], &SMALL);
        if let Err(diagnostic) = result {
            prop_assert!(!diagnostic.message.is_empty());
        }
    }

    #[test]
    fn integers_are_pythons(a in -1000_i64..1000, b in -1000_i64..1000) {
        prop_assume!(b != 0);
        let quotient = a.div_euclid(b) - i64::from(b < 0 && a.rem_euclid(b) != 0);
        let expected = format!("{} {}", quotient, a - quotient * b);
        prop_assert_eq!(rendered(&format!("{{{{ ({a}) // ({b}) }}}} {{{{ ({a}) % ({b}) }}}}")), expected);
    }
}
