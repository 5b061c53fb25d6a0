//! Canaries get their portion of the requests, in whatever is written.

use super::*;

const FOUR: &str = "name: t\nships: {a: {ip: 192.0.2.11}}\nservices:\n  web:\n    image: w\n    ports: {http: '80:8100-8199', \
                    admin: '90:9100-9199'}\n    instances: {web-1: {ship: a}, web-2: {ship: a}, web-3: {ship: a}, \
                    web-10: {ship: a}}\n  api: {image: w, ports: {http: 81}, instances: {api-1: {ship: a}}}\nbalancers:\n";

fn four(balancer: &str) -> Environment {
    let routes = "routes: [{service: web, port: http}, {path: /admin, service: web, port: admin}, \
                  {path: /api, service: api, port: http}]";
    let template = "{% for b in backends %}{% for s in b.servers %}{{ b.name }} {{ s.instance }} {{ s.state }} {{ s.weight }}\n\
                    {% endfor %}{% endfor %}";
    let sources = MapSources::of(format!("{FOUR}  front: {{{balancer}, local: true, {routes}}}\n"))
        .with_file("front.j2", template);
    let loaded = load(&sources, &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// All endpoints: of each container, its `http` port is this, and its `admin` port a thousand more.
fn rotation(environment: &Environment) -> Rotation {
    let mut rotation = Rotation::all(environment);
    for (at, name) in ["web-1", "web-2", "web-3", "web-10"].into_iter().enumerate() {
        let mut picked = Picked::default();
        let number = 8101 + u16::try_from(at).unwrap();
        picked.pick(&"http".into(), number);
        picked.pick(&"admin".into(), number + 1000);
        for endpoint in endpoints(environment, &name.into(), &name.into(), &picked, Standing::In) {
            rotation.put(endpoint);
        }
    }
    rotation
}

const PORTION: Portion = Portion { percent: 10, canaries: 1 };

fn canary(rotation: &mut Rotation) {
    rotation.try_first(&"web".into(), &["web-1".into()], PORTION);
}

/// The lines that have weights.
fn weights(environment: &Environment, rotation: &Rotation) -> String {
    let balancer = &environment.balancers["front"];
    let configuration = configuration(balancer, &rotation.endpoints_of(balancer)).unwrap();
    let lines = configuration.text.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with("server 1") || line.starts_with("server web"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn haproxy_is_told_the_portion_of_canaries() {
    let environment = four("kind: haproxy");
    let mut rotation = rotation(&environment);
    canary(&mut rotation);
    insta::assert_snapshot!(weights(&environment, &rotation), @"
    server web-1 192.0.2.11:9101 weight 1
    server web-10 192.0.2.11:9104 weight 3
    server web-2 192.0.2.11:9102 weight 3
    server web-3 192.0.2.11:9103 weight 3
    server web-1 192.0.2.11:8101 weight 1
    server web-10 192.0.2.11:8104 weight 3
    server web-2 192.0.2.11:8102 weight 3
    server web-3 192.0.2.11:8103 weight 3
    ");
}

#[test]
fn nginx_is_told_the_portion_of_canaries() {
    let environment = four("kind: nginx");
    let mut rotation = rotation(&environment);
    canary(&mut rotation);
    insta::assert_snapshot!(weights(&environment, &rotation), @"
    server 192.0.2.11:81 weight=100 max_fails=0; # api-1
    server 192.0.2.11:9101 weight=1 max_fails=0; # web-1
    server 192.0.2.11:9104 weight=3 max_fails=0; # web-10
    server 192.0.2.11:9102 weight=3 max_fails=0; # web-2
    server 192.0.2.11:9103 weight=3 max_fails=0; # web-3
    server 192.0.2.11:8101 weight=1 max_fails=0; # web-1
    server 192.0.2.11:8104 weight=3 max_fails=0; # web-10
    server 192.0.2.11:8102 weight=3 max_fails=0; # web-2
    server 192.0.2.11:8103 weight=3 max_fails=0; # web-3
    ");
}

#[test]
fn templates_are_told_the_portion_of_canaries() {
    let environment =
        four("kind: template, template: front.j2, config: /x, check: 'x {file}', reload: x, acknowledge: x");
    let mut rotation = rotation(&environment);
    canary(&mut rotation);
    // One that stands in for it is the canary, and who only has a name that begins alike is not.
    let balancer = &environment.balancers["front"];
    let text = |rotation: &Rotation| {
        configuration(balancer, &rotation.endpoints_of(balancer)).unwrap().text.to_string()
    };
    insta::assert_snapshot!(text(&rotation), @"
    b1_api_http api-1 in 100
    b2_web_admin web-1 in 1
    b2_web_admin web-10 in 3
    b2_web_admin web-2 in 3
    b2_web_admin web-3 in 3
    b3_web_http web-1 in 1
    b3_web_http web-10 in 3
    b3_web_http web-2 in 3
    b3_web_http web-3 in 3
    ");
    // Nobody else is there: there is nobody to share with.
    for name in ["web-2", "web-3", "web-10"] {
        rotation.drain(&name.into());
    }
    insta::assert_snapshot!(text(&rotation), @"
    b1_api_http api-1 in 100
    b2_web_admin web-1 in 100
    b2_web_admin web-10 draining 0
    b2_web_admin web-2 draining 0
    b2_web_admin web-3 draining 0
    b3_web_http web-1 in 100
    b3_web_http web-10 draining 0
    b3_web_http web-2 draining 0
    b3_web_http web-3 draining 0
    ");
}

/// While the canary is replaced beside itself, and afterwards, its portion is the same; then all get the same.
#[test]
fn the_portion_is_that_of_whatever_stands_in() {
    let environment = four("kind: haproxy");
    let mut rotation = rotation(&environment);
    let equal = rotation.clone();
    canary(&mut rotation);
    let shares = |rotation: &Rotation| -> Vec<String> {
        let found = rotation.endpoints_of(&environment.balancers["front"]).into_iter();
        let found = found.filter(|e| e.standing == Standing::In && &*e.port == "http");
        found.map(|e| format!("{} {}", e.instance, e.weight)).collect()
    };
    assert_eq!(shares(&rotation), ["api-1 100", "web-1 1", "web-10 3", "web-2 3", "web-3 3"]);
    let next: InstanceName = "web-1.next-c0ffee".into();
    let mut picked = Picked::default();
    picked.pick(&"http".into(), 8150);
    let mut admit = endpoints(&environment, &"web-1".into(), &next, &picked, Standing::In);
    for endpoint in &mut admit {
        endpoint.portion = Some(PORTION);
    }
    rotation.change(&RouteChange {
        admit: admit.clone(),
        drain: vec!["web-1".into()],
        ..RouteChange::default()
    });
    assert_eq!(shares(&rotation), ["api-1 100", "web-1.next-c0ffee 1", "web-10 3", "web-2 3", "web-3 3"]);
    // One of the others goes.
    rotation.drain(&"web-10".into());
    assert_eq!(shares(&rotation), ["api-1 100", "web-1.next-c0ffee 2", "web-2 9", "web-3 9"]);
    rotation.admit(&"web-10".into());
    let level = RouteChange { level: vec!["web".into()], ..RouteChange::default() };
    rotation.change(&level);
    assert_eq!(
        shares(&rotation),
        ["api-1 100", "web-1.next-c0ffee 100", "web-10 100", "web-2 100", "web-3 100"]
    );
    let mut again = equal.clone();
    canary(&mut again);
    again.change(&level);
    assert_eq!(again, equal, "nothing is left of it");
}
