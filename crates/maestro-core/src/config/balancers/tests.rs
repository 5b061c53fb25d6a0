use crate::config::golden::show;
use crate::config::{Limits, load};
use crate::model::{BalancerPlace, Reload};
use crate::source::MapSources;
use std::time::Duration;

const SERVICES: &str = "
name: shop
ships: {a: {ip: 192.0.2.11}}
services:
  web: {image: web, ports: {http: 8080, dns: 53/udp}, instances: {web-1: {ship: a}}}
  edge: {image: edge, ports: {http: 80, status: '8404:18404'}, instances: {edge-1: {ship: a}}}
  none: {image: none, instances: {}}
";

fn sources(balancers: &str) -> MapSources {
    MapSources::of(format!("{SERVICES}balancers:\n{balancers}"))
        .with_file("bad.j2", "{% if %}\n")
        .with_file("front.j2", "{{ generation }}")
}

fn said(balancers: &str) -> String {
    let loaded = load(&sources(balancers), &Limits::default());
    show(&loaded.diagnostics, &loaded.sources)
}

#[test]
fn what_is_not_said_is_as_users_expect() {
    let text = "  front: {kind: haproxy, service: edge, routes: [{host: Shop.Example.com., service: web, port: http}]}\n  \
                host: {kind: nginx, hosts: [ops@lb-1:2222, ssh://lb-2], drain: 2m, routes: [{path: /a/, service: web, port: http}]}\n";
    let loaded = load(&sources(text), &Limits::default());
    assert!(loaded.diagnostics.is_empty(), "{}", show(&loaded.diagnostics, &loaded.sources));
    let environment = loaded.environment.unwrap();
    let front = &environment.balancers["front"];
    assert_eq!(&*front.config, "/usr/local/etc/haproxy/haproxy.cfg");
    assert_eq!(front.check.join(" "), "haproxy -c -f {file}");
    assert_eq!(front.reload, Reload::Signal("USR2".into()));
    assert_eq!((front.status, front.listen[0].port), (Some(8404), 80));
    assert_eq!(front.routes[0].host.as_deref(), Some("shop.example.com"));
    assert_eq!((front.drain, front.keep_alive()), (Duration::from_secs(30), Duration::from_secs(15)));
    let host = &environment.balancers["host"];
    let BalancerPlace::Hosts(hosts) = &host.place else { panic!("{host:?}") };
    assert_eq!(hosts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ops@lb-1:2222", "lb-2"]);
    assert_eq!((&*host.routes[0].path, host.drain), ("/a", Duration::from_mins(2)));
    assert_eq!(host.reload, Reload::Command(["systemctl", "reload", "nginx"].map(str::to_owned).into()));
}

#[test]
fn every_fault_is_told_with_its_place() {
    insta::assert_snapshot!(said(
        "  a b: {kind: haproxy}\n  \
         c: {kind: haprox, service: edge, routes: []}\n  \
         d: {kind: haproxy, routes: [{service: wbe, port: http}, {service: web, port: htpp}, {service: web, port: dns}]}\n  \
         e: {kind: nginx, service: edge, hosts: x, mode: tcp, listen: [http, 80, 80], routes: [{service: web}], colour: red}\n  \
         f: {kind: nginx, hosts: ['-oProxyCommand=x'], config: haproxy.cfg, reload: {signal: HUP}, drain: 0, \
             routes: [{host: 'a b', path: 'a;', service: web, port: http}]}\n"
    ), @r#"
    E0304 `a b` cannot be the name of a balancer
      maestro.yaml:9:3 "a b"
      note: names are of a-z A-Z 0-9 _ . - and begin with a letter or digit
    E0304 `kind` of balancer `c` cannot be `haprox`
      maestro.yaml:10:13 "haprox"
      note: the kinds are haproxy, nginx, template
      help: did you mean `haproxy`?
    E0304 `routes` of balancer `c` has none
      maestro.yaml:10:44 "[]"
    E0302 balancer `d` does not say where it is
      maestro.yaml:11:3 "d"
      help: `service: NAME` for containers, `hosts: [user@host]` for hosts, `local: true` for this machine
    E0401 service `wbe`, in balancer `d`, does not exist
      maestro.yaml:11:41 "wbe"
      help: did you mean `web`?
    E0401 `web-1` has no port `htpp`, which balancer `d` leads to
      maestro.yaml:11:80 "htpp"
      help: did you mean `http`?
    E0304 port `dns` of `web-1`, in balancer `d`, is not TCP
      maestro.yaml:11:108 "dns"
    E0404 balancer `e` has both `service` and `hosts`; it is in one place
      maestro.yaml:12:42 "x"
    E0304 `mode` of balancer `e` cannot be `tcp`
      maestro.yaml:12:51 "tcp"
      help: use `kind: haproxy`, or a template of your own
    E0304 `listen` of balancer `e` cannot be `http`
      maestro.yaml:12:65 "http"
      note: it is a port, or an address and a port, as in `80`, `127.0.0.1:80` and `[::1]:80`
    E0404 `listen` of balancer `e` has port 80 twice
      maestro.yaml:12:75 "80"
    E0302 a route of balancer `e` has no `port`
      maestro.yaml:12:89 "{service: web}"
    W0303 balancer `e` has no key `colour`; it is ignored
      maestro.yaml:12:106 "colour"
    E0304 `hosts` of balancer `f`: `-oProxyCommand=x` is no host that ssh can be given
      maestro.yaml:13:28 "'-oProxyCommand=x'"
      help: write `host`, `user@host` or `user@host:port`
    E0304 `drain` of balancer `f` must be from one second to a day
      maestro.yaml:13:100 "0"
    E0304 `host` of a route of balancer `f` cannot be `a b`: it is a host name or an IPv4 address
      maestro.yaml:13:119 "'a b'"
    E0304 `path` of a route of balancer `f` cannot be `a;`
      maestro.yaml:13:132 "'a;'"
      note: it begins with `/`, and has a-z A-Z 0-9 - . _ ~ : @ + , = between single `/`
    "#);
    insta::assert_snapshot!(said(
        "  g: {kind: haproxy, service: web, routes: [{service: edge, port: http}, {path: /, service: edge, port: http}]}\n  \
         h: {kind: haproxy, service: edge, listen: 8404, routes: [{service: edge, port: http}]}\n  \
         i: {kind: template, local: true, routes: [{service: web, port: http}]}\n  \
         j: {kind: template, template: bad.j2, local: yes please, routes: 5}\n  \
         k: {kind: template, template: gone.j2, service: none, routes: [5]}\n  \
         l: {kind: template, template: front.j2, local: true, config: /x, check: true, reload: 'a \"', listen: 80, \
             routes: [{service: web, port: http}]}\n  \
         m: {kind: haproxy, service: edge, mode: tcp, routes: [{host: x.example, service: web, port: http}]}\n  \
         n:\n"
    ), @r#"
    E0404 balancer `g` has no way to acknowledge a configuration: `web-1` does not publish port 8404
      maestro.yaml:9:3 "g"
      help: add it to the `ports` of service `web`, as in `status: "8404:8404"`, or give a command that prints it, `acknowledge: COMMAND`
    E0404 two routes of balancer `g` are for the same requests
      maestro.yaml:9:74 "{path: /, service: edge, port: http}"
      maestro.yaml:9:45 "{service: edge, port: http}" the first of them
      help: give one of them another `host` or `path`
    E0404 `status` of balancer `h` is 8404, which it listens on already
      maestro.yaml:10:3 "h"
    E0404 a route of balancer `h` leads to service `edge`, which the balancer itself runs in
      maestro.yaml:10:70 "edge"
    E0302 balancer `i` has no `template`
      maestro.yaml:11:3 "i"
    E0304 `local` of balancer `j` can only be `true`
      maestro.yaml:12:48 "yes please"
    E0301 `routes` of balancer `j` must be a list, not an integer
      maestro.yaml:12:68 "5"
    E0101 `gone.j2` was not found
      maestro.yaml:13:33 "gone.j2" named by balancer `k`
      help: check the path; a directory needs a `maestro.yaml` in it
    W0501 `service` of balancer `k` has no instances, so nothing balances
      maestro.yaml:13:51 "none"
    E0301 a route of balancer `k` must be a mapping, not an integer
      maestro.yaml:13:66 "5"
    E0302 balancer `l` has no way to acknowledge a configuration
      maestro.yaml:14:3 "l"
      note: nothing old may be stopped before every front end has loaded what leads to the new
      help: `status: PORT` if the template makes it answer `generation` at /maestro/generation there, or `acknowledge: COMMAND` for a command that prints it
    E0304 `check` of balancer `l` does not say which file it tries
      maestro.yaml:14:75 "true"
      note: the file is tried under another name before it takes the place of the one in use
      help: write `{file}` where the path of the configuration belongs
    E0304 `reload` of balancer `l` cannot be split into words: a quotation is not closed
      maestro.yaml:14:89 "'a \"'"
    W0501 `listen` of balancer `l` does nothing: the template says it
      maestro.yaml:14:104 "80"
    E0404 `host` means nothing to balancer `m`, which passes on connections
      maestro.yaml:15:64 "x.example"
      help: leave it out, or write `mode: http`
    E0302 balancer `n` has no `kind`
      maestro.yaml:16:3 "n"
    E0110 `if` is not closed
      bad.j2:1:4 "if"
      note: it is the template of balancer `j`
      help: close it with `{% endif %}`
    "#);
}

#[test]
fn nobody_writes_the_file_of_another() {
    insta::assert_snapshot!(said(
        "  a: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}\n  \
         b: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}\n"
    ), @r#"
    E0404 balancer `b` writes /usr/local/etc/haproxy/haproxy.cfg, which another one writes, too
      maestro.yaml:10:3 "b"
      maestro.yaml:9:3 "a" the other one
    "#);
}
