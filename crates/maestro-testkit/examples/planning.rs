//! How long a file takes to load, and a start of all its instances to plan, where nothing is there yet but the images:
//! `cargo run --release -p maestro-testkit --example planning -- FILE`. `make bench` runs it.

use maestro_core::check::lint;
use maestro_core::config::{Limits as TextLimits, load};
use maestro_core::fleet::{EngineState, FleetSnapshot, ObservedImage, ShipView};
use maestro_core::names::ImageId;
use maestro_core::plan::{Intent, Limits};
use maestro_core::planner::plan;
use maestro_core::select::{Selector, select};
use maestro_core::source::MapSources;
use maestro_testkit::state::Edition;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which file?")?;
    let text = std::fs::read_to_string(path)?;
    let began = Instant::now();
    let environment =
        load(&MapSources::of(text), &TextLimits::default()).environment.ok_or("the file has faults")?;
    let loading = began.elapsed();

    let images = environment.instances.values().map(|instance| instance.image.to_string());
    let images: std::collections::BTreeSet<_> = images.collect();
    let image = |tag: String| ObservedImage {
        id: ImageId::new(format!("sha256:{tag}")),
        tags: vec![tag],
        digests: Vec::new(),
    };
    let state = Arc::new(EngineState {
        version: Edition::V28.version(),
        containers: std::collections::BTreeMap::new(),
        images: Some(images.into_iter().map(image).collect()),
        image_configs: std::collections::BTreeMap::new(),
        defaults: None,
    });
    let view = || ShipView::Reachable(state.clone());
    let fleet =
        FleetSnapshot { ships: environment.ships.keys().map(|name| (name.clone(), view())).collect() };

    let began = Instant::now();
    let intent = Intent::Start { refresh: false, reuse: false };
    let selection = select(&environment, &Selector::default(), intent.selection_rules())?;
    let plan = plan(&environment, &fleet, &intent, &selection, Limits::default());
    let findings = lint(&plan, &fleet);
    let planning = began.elapsed();
    if let Some(finding) = findings.first() {
        return Err(finding.to_string().into());
    }
    writeln!(
        std::io::stdout(),
        "{:.4} {:.4} {} {}",
        loading.as_secs_f64(),
        planning.as_secs_f64(),
        environment.instances.len(),
        plan.steps.len()
    )?;
    Ok(())
}
