//! How much an environment file may ask for. Honest files stay far below; bombs and slips do not.

/// Bounds on reading, rendering, parsing and expanding. [`Limits::default`] is what the program uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of one file in bytes: the environment file, a template.
    pub file_bytes: usize,
    /// Size in bytes of the text that the template stage produces.
    pub rendered_bytes: usize,
    /// Steps of the template stage: each statement, expression and item visited, and each 256 bytes of text made, is one.
    pub template_steps: u64,
    /// Memory in bytes that strings and containers made by templates may take, whether or not still in use.
    pub template_bytes: u64,
    /// How deep lists and mappings may nest, aliases followed.
    pub depth: usize,
    /// Number of YAML nodes, each alias counted as all that it stands for.
    pub nodes: u64,
    /// Bytes of their texts, counted likewise: where a list becomes a text, what is shared is copied.
    pub text_bytes: u64,
    /// Number of variables of all containers, without those of links. A mapping or a file with fewer than 16 counts as 16.
    pub variables: u64,
    /// Number of published ports of all containers; a range counts as all its ports.
    pub ports: u64,
    /// Number of lifecycle checks of all instances.
    pub checks: u64,
    /// Bytes of the patterns of checks, equal ones counted once; those that are large when compiled count more.
    pub pattern_work: u64,
    /// Number of replicas of all services.
    pub replicas: u64,
    /// Number of values that services with `replicas` say once for all of them, each counted for each; 16 bytes of text
    /// count as one.
    pub replicated: u64,
    /// Number of comparisons when replicas are placed: each of them with each ship.
    pub placements: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 20,
            rendered_bytes: 32 << 20,
            template_steps: 20_000_000,
            template_bytes: 256 << 20,
            depth: 100,
            nodes: 5_000_000,
            text_bytes: 128 << 20,
            variables: 50_000_000,
            ports: 1_000_000,
            checks: 500_000,
            pattern_work: 40_000,
            replicas: 100_000,
            replicated: 5_000_000,
            placements: 100_000_000,
        }
    }
}
