//! The configuration of nginx.
//!
//! What each line is there for, and where that is known from, is in `docs/design/0023`.

use super::{Backend, head, names, ordered, own_lines};
use crate::model::{Balancer, BalancerPlace, Route};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) fn render(balancer: &Balancer, backends: &[Backend<'_>], generation: &str) -> String {
    let mut out = head(balancer, generation);
    out.push_str("worker_processes auto;\n");
    _ = writeln!(out, "worker_shutdown_timeout {}s;", balancer.drain.as_secs());
    for line in balancer.global.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        _ = writeln!(out, "{line}");
    }
    out.push_str("\nevents {\n    worker_connections 4096;\n}\n\nhttp {\n");
    _ = writeln!(out, "    keepalive_timeout {}s;", balancer.keep_alive().as_secs());
    out.push_str(
        "    keepalive_requests 100000;\n    server_tokens off;\n    proxy_http_version 1.1;\n    \
         proxy_connect_timeout 5s;\n    proxy_next_upstream error timeout;\n    proxy_set_header Connection \"\";\n    \
         proxy_set_header Host $http_host;\n    \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n    \
         proxy_set_header X-Forwarded-Proto $scheme;\n    server_names_hash_bucket_size 512;\n",
    );
    own_lines(&mut out, &balancer.defaults);
    for backend in backends.iter().filter(|backend| backend.is_open()) {
        upstream(&mut out, backend);
    }
    // Requests for a host look only at what is there for that host: what is there for all is repeated, except where a
    // route of the host's own comes first.
    let mut hosts: BTreeMap<Option<&str>, Vec<(&Route, &Backend<'_>)>> = BTreeMap::from([(None, Vec::new())]);
    for (route, backend) in ordered(balancer, backends) {
        hosts.entry(route.host.as_deref()).or_default().push((route, backend));
    }
    let for_all = hosts.get(&None).cloned().unwrap_or_default();
    for (host, mut routes) in hosts {
        if host.is_some() {
            let own: Vec<_> = routes.iter().map(|(route, _)| route.path.clone()).collect();
            let is_taken = |path: &str| own.iter().any(|own| covers(own, path));
            routes.extend(for_all.iter().filter(|(route, _)| !is_taken(&route.path)));
        }
        server(&mut out, balancer, host, &routes);
    }
    status(&mut out, balancer, generation);
    out.push_str("}\n");
    out
}

/// Whether all that is below the second path is below the first one, too.
fn covers(path: &str, other: &str) -> bool {
    path == "/" || other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn upstream(out: &mut String, backend: &Backend<'_>) {
    _ = writeln!(out, "\n    upstream {} {{", backend.name);
    for server in &backend.servers {
        let state = if server.takes_requests() {
            format!("weight={} max_fails=0", server.endpoint.weight)
        } else {
            "down".to_owned()
        };
        _ = writeln!(out, "        server {} {state}; # {}", server.endpoint.authority(), server.name);
    }
    out.push_str("    }\n");
}

fn server(out: &mut String, balancer: &Balancer, host: Option<&str>, routes: &[(&Route, &Backend<'_>)]) {
    out.push_str("\n    server {\n");
    for listen in &balancer.listen {
        let all = if host.is_none() { " default_server" } else { "" };
        _ = writeln!(out, "        listen {listen}{all};");
    }
    // An empty name is that of requests without a host.
    _ = writeln!(out, "        server_name {};", host.map_or_else(|| "\"\"".to_owned(), names::address));
    let mut has_all = false;
    for (route, backend) in routes {
        let answer = if backend.is_open() {
            format!("proxy_pass http://{};", backend.name)
        } else {
            "return 503;".to_owned()
        };
        if &*route.path == "/" {
            has_all = true;
            _ = writeln!(out, "        location / {{ {answer} }}");
        } else {
            _ = writeln!(out, "        location = {} {{ {answer} }}", route.path);
            _ = writeln!(out, "        location {}/ {{ {answer} }}", route.path);
        }
    }
    if !has_all {
        out.push_str("        location / { return 404; }\n");
    }
    out.push_str("    }\n");
}

fn status(out: &mut String, balancer: &Balancer, generation: &str) {
    let Some(port) = balancer.status else { return };
    // A container's is published; on a host it is nobody else's business.
    let address = match balancer.place {
        BalancerPlace::Service(_) => "",
        BalancerPlace::Hosts(_) | BalancerPlace::Local => "127.0.0.1:",
    };
    _ = writeln!(
        out,
        "\n    server {{\n        listen {address}{port};\n        access_log off;\n        keepalive_timeout 0;\n        \
         location = {} {{ default_type text/plain; return 200 \"{generation}\\n\"; }}\n        \
         location / {{ return 404; }}\n    }}",
        Balancer::STATUS_PATH
    );
}
