//! What the user's ssh configuration decides.

use super::site::Site;
use maestro_testkit::practice::{PracticeFleet, TransportKind};

#[tokio::test(flavor = "multi_thread")]
async fn whether_an_unknown_host_is_trusted_is_the_users_to_say() {
    let site = Site::up(PracticeFleet::builder().ships(&[TransportKind::Ssh])).await;
    site.write(&format!(
        "  web:\n    image: {}\n    instances: {{web-1: {{ship: ship-1, command: sleep 1000, stop_timeout: 0}}}}\n",
        site.image("bb:latest")
    ));
    let usual = site.fleet.description().ssh_config.as_ref().unwrap();
    let usual = std::fs::read_to_string(usual).unwrap();
    // `$` for the file of known hosts, which does not exist.
    let (mut hosts, mut strict) = (0, 0);
    let lines = usual.lines().map(|line| match line.trim().split_once(' ') {
        Some(("UserKnownHostsFile", _)) => {
            hosts += 1;
            "  UserKnownHostsFile $".to_owned()
        }
        Some(("StrictHostKeyChecking", _)) => {
            strict += 1;
            String::new()
        }
        _ => line.to_owned(),
    });
    let strange = lines.collect::<Vec<_>>().join("\n");
    assert_eq!((hosts, strict), (1, 1), "{usual}");

    let known = site.path().join("known");
    let config = site.path().join("config");
    let write = |more: &str| {
        let text = format!("{more}\n{}\n", strange.replace('$', &known.display().to_string()));
        std::fs::write(&config, text).unwrap();
    };
    let config_file = config.display().to_string();
    let variables = [("MAESTRO_SSH_CONFIG", config_file.as_str())];
    for more in ["", "StrictHostKeyChecking yes", "StrictHostKeyChecking ask"] {
        write(more);
        site.maestro_with("start", &variables)
            .await
            .fails(1)
            .says("ship-1")
            .says("Host key verification failed");
        assert!(!known.exists(), "{more}");
    }
    write("StrictHostKeyChecking accept-new");
    site.maestro_with("start", &variables).await.ok().says("started");
    assert!(known.exists());
    // Once known it is like any other.
    write("StrictHostKeyChecking yes");
    site.maestro_with("status", &variables).await.ok().says("running for");
}
