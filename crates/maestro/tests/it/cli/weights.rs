//! What canaries get of the requests, as balancers are told it, and as users see it.

use super::deploying::anywhere;
use super::site::{SHOP, Site};
use serde_json::Value;
use std::path::Path;

/// Three instances behind two balancers on this machine, which take whatever they are given.
fn services(site: &Site, tag: &str, deploy: &str) -> String {
    let balancer = |kind: &str| {
        let file = site.shell.file(&format!("{kind}.cfg"));
        let file = file.display();
        format!(
            "  by-{kind}:\n    kind: {kind}\n    local: true\n    config: {file}\n    listen: {}\n    check: [test, -s, '{{file}}']\n    \
             reload: ['true']\n    acknowledge: [sed, -n, '1s/.*generation \\([0-9a-f]*\\):.*/\\1/p', {file}]\n    drain: 1s\n    \
             timeout: 10s\n    routes: [{{service: web, port: http}}]\n",
            if kind == "nginx" { 81 } else { 82 },
        )
    };
    format!(
        "\n  web:\n    image: shop/web:{tag}\n    ports: {{http: '8080:18100-18109'}}\n    deploy: {{{deploy}}}\n    \
         instances: {{web-1: {{ship: atlantic}}, web-2: {{ship: pacific}}, web-3: {{ship: pacific}}}}\nbalancers:\n{}{}",
        balancer("haproxy"),
        balancer("nginx"),
    )
}

/// With what telling balancers needs of this machine: nothing else of it is within reach of commands here.
fn site() -> Site {
    let site = Site::new(SHOP);
    for program in ["sh", "cat", "cp", "mv", "rm", "sed", "test", "true"] {
        let found = ["/usr/bin", "/bin"].map(|at| Path::new(at).join(program));
        let found = found.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {program}"));
        std::os::unix::fs::symlink(found, site.shell.file(program)).unwrap();
    }
    site
}

/// The weights of web-1, web-2 and web-3 in both files.
fn weights(site: &Site) -> [[u32; 3]; 2] {
    ["haproxy", "nginx"].map(|kind| {
        let text = std::fs::read_to_string(site.shell.file(&format!("{kind}.cfg"))).unwrap();
        ["web-1", "web-2", "web-3"].map(|name| {
            let (own, weight) = match kind {
                "haproxy" => (format!("server {name} "), "weight "),
                _ => (format!("# {name}"), "weight="),
            };
            let found: Vec<&str> = text.lines().filter(|line| line.contains(&own)).collect();
            let [line] = found[..] else { panic!("{name} is not there once:\n{text}") };
            let number = line.split(weight).nth(1).unwrap_or_else(|| panic!("{line}"));
            number.split(' ').next().unwrap().parse().unwrap()
        })
    })
}

const EQUAL: [[u32; 3]; 2] = [[100; 3]; 2];
const TENTH: [[u32; 3]; 2] = [[2, 9, 9]; 2];
const CANARY: &str = "strategy: canary, max_unavailable: 0, weight: 10%, on_failure: pause";

/// Both serve what they should, with these weights.
async fn all_is_current(site: &Site, expected: [[u32; 3]; 2]) {
    assert_eq!(weights(site), expected);
    let shown = site.run("balancers --output json").await.ok();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    for (entry, expected) in shown.as_array().unwrap().iter().zip(expected) {
        assert_eq!(entry["current"], true, "{entry}");
        let endpoints = entry["endpoints"].as_array().unwrap();
        let weights: Vec<u64> = endpoints.iter().map(|e| e["weight"].as_u64().unwrap()).collect();
        assert_eq!(weights, expected.map(u64::from), "{entry}");
    }
}

#[tokio::test]
async fn canaries_get_their_portion_until_the_others_follow() {
    let site = site();
    let write = |tag: &str, deploy: &str| site.write(&services(&site, tag, deploy));
    write("2.0", CANARY);
    site.run("deploy -c 1").await.ok();
    all_is_current(&site, EQUAL).await;

    write("3.0", CANARY);
    let mut text = site.transcript(&["plan deploy", "deploy --yes -c 1"]).await;
    all_is_current(&site, TENTH).await;
    assert!(site.image("web-1").contains("web:3.0") && site.image("web-2").contains("web:2.0"));
    text += &site.transcript(&["plan deploy", "plan --output json deploy"]).await;
    insta::assert_snapshot!(anywhere(&text));

    // Another process goes on with it: it knows what canaries get, and nothing is changed.
    let before = std::fs::read_to_string(site.shell.file("haproxy.cfg")).unwrap();
    site.clear_writes();
    site.run("resume --yes").await.exits(3).says("10% of the requests for web");
    assert_eq!(site.changes(), [""; 0]);
    assert_eq!(std::fs::read_to_string(site.shell.file("haproxy.cfg")).unwrap(), before);

    // They get more of it, and stay what they are.
    write("3.0", &CANARY.replace("10%", "60%"));
    site.run("deploy --yes").await.exits(3).says("60% of the requests for web");
    assert_eq!(site.changes(), [""; 0]);
    all_is_current(&site, [[3, 1, 1]; 2]).await;
    // What is unfinished is that now.
    site.run("resume --yes").await.exits(3).says("60% of the requests for web");

    site.run("deploy --yes --promote").await.ok().never_says("% of the requests");
    all_is_current(&site, EQUAL).await;
    site.run("plan deploy --detailed-exitcode").await.ok().never_says("% of the requests");
}

#[tokio::test]
async fn on_the_way_back_all_get_the_same_again() {
    let site = site();
    let write = |tag: &str, deploy: &str| site.write(&services(&site, tag, deploy));
    write("2.0", CANARY);
    site.run("deploy").await.ok();
    write("3.0", CANARY);
    site.run("deploy --yes").await.exits(3);
    all_is_current(&site, TENTH).await;
    site.run("abort --yes").await.ok();
    assert!(site.image("web-1").contains("web:2.0"));
    all_is_current(&site, EQUAL).await;

    // One that is no good is taken back by itself.
    let failing = CANARY.replace("pause", "rollback");
    write("brief-3.0", &failing);
    site.run("deploy --yes").await.exits(4);
    all_is_current(&site, EQUAL).await;

    // With a pause, the others follow by themselves.
    write("3.0", &format!("{CANARY}, pause: 1s"));
    site.run("plan deploy").await.ok().says("10% of the requests for web to its canaries (web-1)");
    site.run("deploy --yes").await.ok();
    all_is_current(&site, EQUAL).await;
    site.run("plan deploy --detailed-exitcode").await.ok();
}
