//! Files whose template fails.

use super::trap::Trap;

/// The ships, and a service whose image is this.
async fn image(trap: &Trap, template: &str) -> String {
    trap.of(&format!(
        "services:\n  web:\n    image: web:{template}\n    instances: {{web-1: {{ship: tcp}}}}\n"
    ))
    .await
}

#[tokio::test]
async fn undefined() {
    let trap = Trap::new();
    insta::assert_snapshot!(image(&trap, "{{ release.tag }}").await, @"
    error[E0111]: `release` is undefined
      --> maestro.yaml:13:19
       |
    13 |     image: web:{{ release.tag }}
       |                   ^^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(image(&trap, "{{ 1 | nosuch }}").await, @"
    error[E0110]: there is no filter `nosuch`
      --> maestro.yaml:13:23
       |
    13 |     image: web:{{ 1 | nosuch }}
       |                       ^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(image(&trap, "{{ 1 / 0 }}").await, @"
    error[E0111]: division by zero
      --> maestro.yaml:13:19
       |
    13 |     image: web:{{ 1 / 0 }}
       |                   ^^^^^

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn malformed() {
    let trap = Trap::new();
    insta::assert_snapshot!(image(&trap, "{{ tag").await, @"
    error[E0110]: unexpected identifier, expected `}}`
      --> maestro.yaml:14:5
       |
    14 |     instances: {web-1: {ship: tcp}}
       |     ^^^^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(image(&trap, "{% if x %}1").await, @"
    error[E0110]: `if` is not closed
      --> maestro.yaml:13:19
       |
    13 |     image: web:{% if x %}1
       |                   ^^
       |
       = help: close it with `{% endif %}`

    ERROR: maestro.yaml: 1 error
    ");
    insta::assert_snapshot!(image(&trap, "{% nosuch %}").await, @"
    error[E0110]: there is no tag `nosuch`
      --> maestro.yaml:13:19
       |
    13 |     image: web:{% nosuch %}
       |                   ^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn includes() {
    let trap = Trap::new();
    insta::assert_snapshot!(image(&trap, "{% include 'parts/nosuch.yaml' %}").await, @"
    error[E0111]: there is no template `parts/nosuch.yaml`
      --> maestro.yaml:13:19
       |
    13 |     image: web:{% include 'parts/nosuch.yaml' %}
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = note: templates are looked for in the directory of the environment file

    ERROR: maestro.yaml: 1 error
    ");
    trap.shell.write("parts/broken.yaml", "1\n{{ release.tag }}\n");
    insta::assert_snapshot!(image(&trap, "{% include 'parts/broken.yaml' %}").await, @"
    error[E0111]: `release` is undefined
      --> parts/broken.yaml:2:4
       |
     2 | {{ release.tag }}
       |    ^^^^^^^
       |
      ::: maestro.yaml:13:19
       |
    13 |     image: web:{% include 'parts/broken.yaml' %}
       |                   --------------------------- included here

    ERROR: maestro.yaml: 1 error
    ");
    trap.shell.write("parts/self.yaml", "{% include 'parts/self.yaml' %}");
    insta::assert_snapshot!(image(&trap, "{% include 'parts/self.yaml' %}").await, @"
    error[E0112]: the template calls itself too deep
      --> parts/self.yaml:1:4
       |
     1 | {% include 'parts/self.yaml' %}
       |    ^^^^^^^^^^^^^^^^^^^^^^^^^
       |
      ::: maestro.yaml:13:19
       |
    13 |     image: web:{% include 'parts/self.yaml' %}
       |                   ------------------------- included here
       |
       = help: look for a macro, an include or a recursive loop that does not stop

    ERROR: maestro.yaml: 1 error
    ");
}

#[tokio::test]
async fn endless() {
    let trap = Trap::new();
    let loops = "{% for a in range(99999) %}{% if range(99999) | max %}{% endif %}{% endfor %}1";
    insta::assert_snapshot!(image(&trap, loops).await, @"
    error[E0112]: the template does not come to an end
      --> maestro.yaml:13:64
       |
    13 |     image: web:{% for a in range(99999) %}{% if range(99999) | max %}{% endif %}{% endfor %}1
       |                                                                ^^^
       |
       = note: it did more work than any environment needs
       = help: look for a loop over too many items, or a recursion that does not stop

    ERROR: maestro.yaml: 1 error
    ");
    let macros = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    insta::assert_snapshot!(image(&trap, macros).await, @"
    error[E0112]: the template calls itself too deep
      --> maestro.yaml:13:34
       |
    13 |     image: web:{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}
       |                                  ^^^                    --- called here
       |
       = help: look for a macro, an include or a recursive loop that does not stop

    ERROR: maestro.yaml: 1 error
    ");
    let growing = "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for a in range(999) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}1";
    insta::assert_snapshot!(image(&trap, growing).await, @"
    error[E0112]: the template takes too much memory
      --> maestro.yaml:13:101
       |
    13 | ...aaaaa') %}{% for a in range(999) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}1
       |                                                     ^^^^^^^^^^^
       |
       = help: look for a string or list that grows with each round of a loop

    ERROR: maestro.yaml: 1 error
    ");
}

/// A place in a line with template logic is one in the rendered text, and says so.
#[tokio::test]
async fn errors_in_what_a_template_became() {
    let trap = Trap::new();
    let text = "services:
  web:
    image: web:1
    instances:
{%- for n in range(1, 3) %}
      web-{{ n }}: {ship: {{ ['tcp', 'upc'][n - 1] }}}
{%- endfor %}
";
    insta::assert_snapshot!(trap.of(text).await, @"
    error[E0401]: ship `upc`, of instance `web-2`, does not exist
      --> maestro.yaml (rendered):16:21
       |
    16 |       web-…: {ship: upc}
       |                     ^^^
       |
       = note: this is a place in the rendered text of maestro.yaml: what its template became
       = note: `…` stands for what may be secret: passwords and the like, and what a template's expressions gave

    ERROR: maestro.yaml: 1 error
    ");
}
