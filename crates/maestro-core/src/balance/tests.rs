mod weights;

use super::*;
use crate::config::{Limits, load};
use crate::fleet::FleetSnapshot;
use crate::model::{Environment, Picked};
use crate::source::MapSources;

const SERVICES: &str = "
name: shop
ships: {a: {ip: 192.0.2.11}, b: {ip: '2001:db8::2'}}
services:
  web:
    image: web
    ports: {http: '80:8080', admin: '9000:9000'}
    instances: {web-1: {ship: a}, web-2: {ship: b}}
  api:
    image: api
    ports: {http: '80:8081'}
    instances: {api-1: {ship: a}}
  'odd \"name\"; {}':
    image: odd
    ports: {'p #1': '80:8082'}
    instances: {odd-1: {ship: a}}
  edge:
    image: edge
    ports: {http: 80, status: 8404}
    instances: {edge-1: {ship: a}, edge-2: {ship: b}}
";

fn environment(balancers: &str) -> Environment {
    let template = "{% for b in backends %}{% for s in b.servers %}{{ b.name }} {{ s.authority }} {{ s.state }} \
                    {{ s.weight }}\n{% endfor %}{% endfor %}# {{ balancer }} {{ generation }}\n{% for r in routes %}\
                    {{ r.host or '*' }}{{ r.path }} -> {{ r.backend }}\n{% endfor %}";
    let sources = MapSources::of(format!("{SERVICES}balancers:\n{balancers}"))
        .with_file("front.j2", template)
        .with_file("bad.j2", "a\n{{ nobody.knows }}\n");
    let loaded = load(&sources, &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

const ROUTES: &str = "routes: [{host: shop.example.com, service: web, port: http}, {path: /api/, service: api, port: http}, \
                      {host: shop.example.com, path: /admin, service: web, port: admin}, {host: odd.example.com, \
                      service: 'odd \"name\"; {}', port: 'p #1'}]";

/// The text with `api` empty and `web-2` draining.
fn text(balancer: &str) -> String {
    let environment = environment(&format!("  front: {{{balancer}, {ROUTES}}}\n"));
    let mut rotation = Rotation::all(&environment);
    assert!(rotation.drain(&"web-2".into()) && rotation.withdraw(&"api-1".into()));
    assert!(!rotation.admit(&"web-9".into()));
    let balancer = &environment.balancers["front"];
    let configuration = configuration(balancer, &rotation.endpoints()).unwrap();
    assert!(configuration.text.contains(configuration.generation.as_str()));
    configuration.text.to_string()
}

#[test]
fn haproxy_is_told_all() {
    insta::assert_snapshot!(text("kind: haproxy, service: edge, drain: 20s, global: 'maxconn 5000'"), @r#"
    # Written by Maestro for the balancer front, generation 2d6054d03949cd87: what is changed here is lost.
    global
        master-worker
        hard-stop-after 20s
        maxconn 5000

    defaults
        timeout connect 5s
        timeout client 60s
        timeout server 60s
        timeout queue 30s
        option redispatch 1
        retries 3
        default-server check inter 2s fall 3 rise 1 init-addr libc,none

    frontend front
        mode http
        bind :80
        timeout http-request 10s
        timeout http-keep-alive 10s
        option idle-close-on-response
        option http-server-close
        option forwardfor
        acl host1 req.hdr(host),field(1,:) -i shop.example.com
        acl path1 path /admin
        acl path1 path_beg /admin/
        use_backend b3_web_admin if host1 path1
        acl host2 req.hdr(host),field(1,:) -i odd.example.com
        use_backend b2_odd__name______p__1 if host2
        acl host3 req.hdr(host),field(1,:) -i shop.example.com
        use_backend b4_web_http if host3
        acl path4 path /api
        acl path4 path_beg /api/
        use_backend b1_api_http if path4
        default_backend no..route

    backend no..route
        mode http
        http-request return status 404

    backend b1_api_http
        mode http
        balance roundrobin
        retry-on conn-failure

    backend b2_odd__name______p__1
        mode http
        balance roundrobin
        retry-on conn-failure
        server odd-1 192.0.2.11:8082 weight 100

    backend b3_web_admin
        mode http
        balance roundrobin
        retry-on conn-failure
        server web-1 192.0.2.11:9000 weight 100
        server web-2 [2001:db8::2]:9000 weight 0

    backend b4_web_http
        mode http
        balance roundrobin
        retry-on conn-failure
        server web-1 192.0.2.11:8080 weight 100
        server web-2 [2001:db8::2]:8080 weight 0

    frontend front..status
        mode http
        timeout http-request 5s
        bind :8404
        http-request return status 200 content-type text/plain string "2d6054d03949cd87\n" if { path /maestro/generation }
        http-request return status 404
    "#);
}

#[test]
fn nginx_is_told_all() {
    insta::assert_snapshot!(
        text("kind: nginx, local: true, listen: ['127.0.0.1:80', '[::1]:80'], defaults: 'access_log off;'"),
        @r#"
    # Written by Maestro for the balancer front, generation 737d975b4dcb6de9: what is changed here is lost.
    worker_processes auto;
    worker_shutdown_timeout 30s;

    events {
        worker_connections 4096;
    }

    http {
        keepalive_timeout 15s;
        keepalive_requests 100000;
        server_tokens off;
        proxy_http_version 1.1;
        proxy_connect_timeout 5s;
        proxy_next_upstream error timeout;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        server_names_hash_bucket_size 512;
        access_log off;

        upstream b2_odd__name______p__1 {
            server 192.0.2.11:8082 weight=100 max_fails=0; # odd-1
        }

        upstream b3_web_admin {
            server 192.0.2.11:9000 weight=100 max_fails=0; # web-1
            server [2001:db8::2]:9000 down; # web-2
        }

        upstream b4_web_http {
            server 192.0.2.11:8080 weight=100 max_fails=0; # web-1
            server [2001:db8::2]:8080 down; # web-2
        }

        server {
            listen 127.0.0.1:80 default_server;
            listen [::1]:80 default_server;
            server_name "";
            location = /api { return 503; }
            location /api/ { return 503; }
            location / { return 404; }
        }

        server {
            listen 127.0.0.1:80;
            listen [::1]:80;
            server_name odd.example.com;
            location / { proxy_pass http://b2_odd__name______p__1; }
        }

        server {
            listen 127.0.0.1:80;
            listen [::1]:80;
            server_name shop.example.com;
            location = /admin { proxy_pass http://b3_web_admin; }
            location /admin/ { proxy_pass http://b3_web_admin; }
            location / { proxy_pass http://b4_web_http; }
        }

        server {
            listen 127.0.0.1:8404;
            access_log off;
            keepalive_timeout 0;
            location = /maestro/generation { default_type text/plain; return 200 "737d975b4dcb6de9\n"; }
            location / { return 404; }
        }
    }
    "#
    );
}

#[test]
fn connections_are_passed_on_by_haproxy() {
    let environment = environment(
        "  front: {kind: haproxy, hosts: ops@lb-1, mode: tcp, listen: 9000, routes: [{service: web, port: admin}]}\n",
    );
    let endpoints = Rotation::all(&environment).endpoints();
    insta::assert_snapshot!(configuration(&environment.balancers["front"], &endpoints).unwrap().text, @r#"
    # Written by Maestro for the balancer front, generation 47069ade717560de: what is changed here is lost.
    global
        master-worker
        hard-stop-after 30s

    defaults
        timeout connect 5s
        timeout client 60s
        timeout server 60s
        timeout queue 30s
        option redispatch 1
        retries 3
        default-server check inter 2s fall 3 rise 1 init-addr libc,none

    frontend front
        mode tcp
        bind :9000
        default_backend b1_web_admin

    backend b1_web_admin
        mode tcp
        balance roundrobin
        server web-1 192.0.2.11:9000 weight 100
        server web-2 [2001:db8::2]:9000 weight 100

    frontend front..status
        mode http
        timeout http-request 5s
        bind 127.0.0.1:8404
        http-request return status 200 content-type text/plain string "47069ade717560de\n" if { path /maestro/generation }
        http-request return status 404
    "#);
}

#[test]
fn a_template_of_ones_own_is_told_all() {
    insta::assert_snapshot!(
        text("kind: template, template: front.j2, service: edge, config: /x, check: 'x {file}', reload: y, status: 80"),
        @"
    b2_odd__name______p__1 192.0.2.11:8082 in 100
    b3_web_admin 192.0.2.11:9000 in 100
    b3_web_admin [2001:db8::2]:9000 draining 0
    b4_web_http 192.0.2.11:8080 in 100
    b4_web_http [2001:db8::2]:8080 draining 0
    # front 08144fac5646a7ca
    shop.example.com/admin -> b3_web_admin
    odd.example.com/ -> b2_odd__name______p__1
    shop.example.com/ -> b4_web_http
    */api -> b1_api_http
    "
    );
}

#[test]
fn a_template_that_fails_says_where() {
    let environment = environment(
        "  front: {kind: template, template: bad.j2, local: true, config: /x, check: 'x {file}', reload: y, \
         acknowledge: z, routes: [{service: web, port: http}]}\n",
    );
    let fault = configuration(&environment.balancers["front"], &[]).unwrap_err();
    insta::assert_snapshot!(fault, @"bad.j2:2:4: `nobody` is undefined");
}

#[test]
fn the_generation_is_that_of_the_content() {
    let environment = environment(
        "  one: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}\n  \
         two: {kind: nginx, hosts: lb, routes: [{service: web, port: http}]}\n",
    );
    for balancer in environment.balancers.values() {
        let of = |rotation: &Rotation| configuration(balancer, &rotation.endpoints()).unwrap().generation;
        let mut rotation = Rotation::all(&environment);
        let all = of(&rotation);
        assert_eq!(Generation::parse(&format!(" {all}\n")), Some(all.clone()));
        let mut seen = vec![all.clone()];
        rotation.drain(&"web-1".into());
        seen.push(of(&rotation));
        rotation.withdraw(&"web-1".into());
        seen.push(of(&rotation));
        rotation.admit(&"web-1".into());
        assert_eq!(of(&rotation), all, "the same again");
        rotation.try_first(&"web".into(), &["web-2".into()], Portion { percent: 10, canaries: 1 });
        seen.push(of(&rotation));
        rotation.withdraw(&"web-1".into());
        rotation.withdraw(&"web-2".into());
        seen.push(of(&rotation));
        // What others are sent is of no matter.
        rotation.withdraw(&"api-1".into());
        assert_eq!(of(&rotation), seen[4]);
        let distinct: BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "{seen:?}");
    }
    for text in ["", "0123456789abcde", "0123456789abcdeg", "0123456789ABCDEF", "0123456789abcdef0"] {
        assert_eq!(Generation::parse(text), None, "{text}");
    }
}

/// A name that could be anything means nothing but itself.
#[test]
fn nothing_can_be_smuggled_in() {
    let environment =
        environment("  front: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}\n");
    let evil = "x\n    server evil 203.0.113.1:80 #\";{}$'\\";
    let mut balancer = environment.balancers["front"].clone();
    balancer.routes[0].service = ServiceName::from(evil);
    balancer.routes[0].port = evil.into();
    let endpoint = Endpoint {
        service: evil.into(),
        instance: evil.into(),
        port: evil.into(),
        address: evil.into(),
        number: 80,
        standing: Standing::In,
        portion: None,
        weight: 1,
    };
    for kind in [BalancerKind::Haproxy, BalancerKind::Nginx] {
        balancer.kind = kind;
        let text = configuration(&balancer, std::slice::from_ref(&endpoint)).unwrap().text;
        assert!(!text.contains("server evil"), "{text}");
        assert!(!text.contains("#\""), "{text}");
        assert_eq!(
            text.matches("server x").count() + text.matches("server evil").count(),
            usize::from(text.contains("server x_")),
            "{text}"
        );
    }
}

#[test]
fn who_runs_is_in_and_who_cannot_be_seen_too() {
    let environment =
        environment("  front: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}\n");
    let balancer = &environment.balancers["front"];
    let rotation = Rotation::of(&environment, &FleetSnapshot::default());
    let shown: Vec<_> = rotation
        .endpoints_of(balancer)
        .iter()
        .map(|e| format!("{} {} {}", e.instance, e.authority(), e.standing.name()))
        .collect();
    assert_eq!(shown, ["web-1 192.0.2.11:8080 in", "web-2 [2001:db8::2]:8080 in"]);
    assert_eq!(environment.balancers_of(&"web".into()).count(), 1);
    assert_eq!(environment.balancers_of(&"api".into()).count(), 0);
    assert_eq!(environment.front_ends_of(balancer), ["edge-1".into(), "edge-2".into()]);
}

/// The replacement of a container beside it has a name of its own.
#[test]
fn a_container_can_stand_in_for_an_instance() {
    let environment =
        environment("  front: {kind: nginx, service: edge, routes: [{service: api, port: http}]}\n");
    let mut rotation = Rotation::all(&environment);
    let next: InstanceName = "api-1.next-c0ffee".into();
    let mut picked = Picked::default();
    picked.pick(&"http".into(), 8199);
    let admit = endpoints(&environment, &"api-1".into(), &next, &picked, Standing::In);
    assert_eq!(admit.iter().map(|endpoint| endpoint.number).collect::<Vec<_>>(), [8199]);
    rotation.change(&RouteChange { admit, drain: vec!["api-1".into()], ..RouteChange::default() });
    let names: Vec<_> = rotation
        .endpoints_of(&environment.balancers["front"])
        .iter()
        .map(|e| (e.instance.clone(), e.standing))
        .collect();
    assert_eq!(names, [("api-1".into(), Standing::Draining), ("api-1.next-c0ffee".into(), Standing::In)]);
}

/// A deployment may change where a service listens: what runs is where it was made, until it is replaced.
#[test]
fn what_runs_is_where_it_was_made() {
    let environment =
        environment("  front: {kind: nginx, service: edge, routes: [{service: web, port: http}]}\n");
    let mut fleet = crate::planner::tests::fleet("a: web-1 running w\nb: web-2 running w");
    let Some(crate::fleet::ShipView::Reachable(state)) = fleet.ships.get_mut("a") else { panic!() };
    let container = std::sync::Arc::make_mut(state).containers.get_mut("web-1").unwrap();
    container.labels.insert("maestro.port.http".to_owned(), "9999".to_owned());
    let numbers = |fleet: &FleetSnapshot| {
        let rotation = Rotation::of(&environment, fleet);
        let found = rotation.endpoints_of(&environment.balancers["front"]);
        found.into_iter().map(|endpoint| endpoint.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&fleet), [9999, 8080]);
    let Some(crate::fleet::ShipView::Reachable(state)) = fleet.ships.get_mut("a") else { panic!() };
    let container = std::sync::Arc::make_mut(state).containers.get_mut("web-1").unwrap();
    let mut configuration = crate::fleet::Configuration::default();
    let published = crate::fleet::Published { address: String::new(), port: "7777".to_owned() };
    configuration.ports.insert("80/tcp".to_owned(), vec![published]);
    container.configuration = Some(std::sync::Arc::new(configuration));
    assert_eq!(numbers(&fleet), [7777, 8080]);
}
