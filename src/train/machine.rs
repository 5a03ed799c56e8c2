//! What of the machine decides the bits of a run: the same binary gives the same bits where these are the same.

/// Threads that products run on. Their number changes no bit; the journal tells it because it was promised, not proved.
pub fn threads() -> usize {
    candle_core::utils::get_num_threads()
}

/// What the tensor library uses of the processor, in alphabetical order.
pub fn features() -> Vec<String> {
    [
        ("avx", candle_core::utils::with_avx()),
        ("f16c", candle_core::utils::with_f16c()),
        ("neon", candle_core::utils::with_neon()),
        ("simd128", candle_core::utils::with_simd128()),
    ]
    .into_iter()
    .filter(|(_, has)| *has)
    .map(|(name, _)| name.to_owned())
    .collect()
}
