//! What comes of a file otherwise than with maestro-ng 0.8.3, by the decisions of docs/design and the numbered quirks.

/// Something that maestro-ng does otherwise, and a file can lean on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Change {
    /// An image without a tag or digest is `latest`, and pulled only where it is not there.
    ImageWithoutTag,
    /// An image is named by its digest.
    ImageDigest,
    /// A range of ports of the container is published port by port.
    PortRange,
    /// Commands without names have nothing to do: all that has instances is omitted.
    AllOmitted,
    /// An instance's checks are its own.
    InstanceChecks,
    /// The host of a service's check holds for all instances.
    CheckHost,
    /// When all tries have failed, the pull has failed.
    RetriesExhausted,
    /// A registry's login needs no `email`, and a password only if the credential file has none.
    LoginIncomplete,
    /// A pull goes with the login of the entry that its image matched by whatever name.
    LoginSent,
    /// Who takes volumes from another is started after it and stopped before it.
    VolumeOrder,
    /// The version of TLS is agreed on.
    TlsVersion,
    /// A version that YAML reads as a number keeps its zero.
    ApiVersionDigits,
    /// A value of another type than engines want is sent as what it means (Q-39, D-27).
    ReadAsMeant,
    /// `stop_timeout` is a number of seconds, also in quotes (D-27).
    StopTimeout,
    /// Each of several logs is told once, by its own level.
    SeveralLogs,
    /// An auditor's program needs no arguments.
    ScriptWithoutArguments,
    /// An auditor's program has an end (D-17).
    ScriptTimeout,
    /// Slack is told of the errors of many, too.
    SlackErrors,
    /// No container fails because it could not be announced (D-16).
    DebugAuditor,
    /// Of the options of Python's requests those are read that a check needs (D-33).
    RequestOption,
    /// A tunnel's login offers its key alone, and ssh's configuration may name its port (D-34).
    SshTunnel,
    /// A container belongs to the environment by whose name it was made (D-31).
    ComputedName,
    /// A service has replicas instead of instances.
    Replicas,
}

impl Change {
    /// The stable number, such as `N0601`.
    pub fn id(self) -> &'static str {
        match self {
            Change::ImageWithoutTag => "N0601",
            Change::ImageDigest => "N0602",
            Change::PortRange => "N0603",
            Change::AllOmitted => "N0604",
            Change::InstanceChecks => "N0605",
            Change::CheckHost => "N0606",
            Change::RetriesExhausted => "N0607",
            Change::LoginIncomplete => "N0608",
            Change::LoginSent => "N0609",
            Change::VolumeOrder => "N0610",
            Change::TlsVersion => "N0611",
            Change::ApiVersionDigits => "N0612",
            Change::ReadAsMeant => "N0613",
            Change::StopTimeout => "N0614",
            Change::SeveralLogs => "N0615",
            Change::ScriptWithoutArguments => "N0616",
            Change::ScriptTimeout => "N0617",
            Change::SlackErrors => "N0618",
            Change::DebugAuditor => "N0619",
            Change::RequestOption => "N0620",
            Change::SshTunnel => "N0621",
            Change::ComputedName => "N0622",
            Change::Replicas => "N0623",
        }
    }
}
