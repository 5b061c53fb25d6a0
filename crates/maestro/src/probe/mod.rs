//! Stands in until the real probes are merged: every check passes.

#[derive(Default)]
pub struct SystemProbe;
impl maestro_core::boundary::Probe for SystemProbe {
    fn check<'a>(
        &'a self,
        _: &'a maestro_core::names::InstanceName,
        _: &'a maestro_core::model::Check,
        _: Option<&'a maestro_core::model::ContainerEnv>,
    ) -> futures_util::future::BoxFuture<'a, Result<(), maestro_core::boundary::CheckFailure>> {
        Box::pin(async { Ok(()) })
    }
}
