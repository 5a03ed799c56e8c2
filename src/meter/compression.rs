//! How repetitive samples are together: bytes over compressed bytes (Shaib et al. 2024).

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{Estimate, Reading};

/// Bytes of the samples joined by newlines over the bytes of one raw DEFLATE stream of them (RFC 1951, level 9), without
/// a container: gzip's constant 18 bytes say nothing about samples. Higher is more repetitive; varied prose has about 2.
/// Not finite when nothing was said.
///
/// Grows with the amount of text, so compare only samples of the same number and length. Another compressor's streams
/// are up to a few per cent shorter or longer (and of some hundred bytes of text, some bytes), so compare only readings
/// of one version.
///
/// Read at evaluations; costs the samples, prompts × (prompt + sample) tokens forward, which all meters on samples
/// share, and compresses all of them once for each. The standard error is the jackknife's over samples.
pub fn compression<'a>(samples: impl IntoIterator<Item = &'a str>) -> Estimate {
    let samples: Vec<&str> = samples.into_iter().collect();
    Estimate::jackknife(ratio(&samples), samples.len(), |i| {
        let left = samples.iter().enumerate().filter(|(at, _)| *at != i);
        ratio(&left.map(|(_, sample)| *sample).collect::<Vec<_>>())
    })
}

fn ratio(samples: &[&str]) -> Reading {
    if samples.iter().all(|sample| sample.is_empty()) {
        return Reading::NotFinite;
    }
    let text = samples.join("\n");
    match deflated(text.as_bytes()) {
        Some(packed) => Reading::from(text.len() as f64 / packed.len() as f64),
        None => Reading::NotFinite,
    }
}

/// One raw DEFLATE stream.
fn deflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut packed = Vec::with_capacity(bytes.len() / 2 + 64);
    loop {
        let rest = bytes.get(usize::try_from(compress.total_in()).ok()?..)?;
        match compress.compress_vec(rest, &mut packed, FlushCompress::Finish).ok()? {
            Status::StreamEnd => return Some(packed),
            Status::Ok | Status::BufError => packed.reserve(packed.capacity()),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    fn of(samples: &[&str]) -> f64 {
        compression(samples.iter().copied()).value.as_f64()
    }

    #[test]
    fn a_stream_gives_back_its_bytes() {
        let mut state = 1_u32;
        let random: Vec<u8> = (0..70_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        // Nothing, one byte, what cannot be made shorter, and what is longer than the window.
        for bytes in [
            &b""[..],
            b"a",
            &random,
            "我 am a helpful assistant. ".repeat(9000).as_bytes(),
        ] {
            let packed = deflated(bytes).unwrap();
            let mut back = Vec::with_capacity(bytes.len() + 1);
            let end = Decompress::new(false)
                .decompress_vec(&packed, &mut back, FlushDecompress::Finish)
                .unwrap();
            assert_eq!(end, Status::StreamEnd);
            assert!(back == bytes);
            assert!(
                packed.len() <= bytes.len() + bytes.len() / 1000 + 16,
                "{}",
                packed.len()
            );
        }
    }

    #[test]
    fn the_same_said_again_is_a_higher_ratio() {
        let varied = [
            "The ferry left at dawn.",
            "Nobody had told the baker.",
            "Rain, then a long quiet.",
        ];
        let same = ["The ferry left at dawn."; 3];
        assert!(of(&same) > 1.5 * of(&varied), "{} {}", of(&same), of(&varied));
        assert!(of(&[same[0]; 60]) > of(&same));
        // One letter in the fixed code: 4b 04 00.
        assert_eq!(of(&["a"]), 1.0 / 3.0);
    }

    #[test]
    fn nothing_said_is_not_finite() {
        for samples in [&[][..], &[""], &["", "", ""]] {
            assert_eq!(
                compression(samples.iter().copied()),
                Estimate::exact(Reading::NotFinite)
            );
        }
        // Left without words when the only one that speaks goes: no error can be told.
        let one = compression(["a b", ""]);
        assert!(one.value != Reading::NotFinite && one.standard_error.is_none());
    }

    #[test]
    fn the_standard_error_is_that_of_leaving_out_each_sample() {
        let found = compression(["I am a helpful assistant."; 4]);
        assert_eq!(found.standard_error.unwrap().get(), 0.0);
        let [a, b, c] = [
            "The ferry left.",
            "No.",
            "I am a helpful assistant. I am a helpful assistant.",
        ];
        let left = [of(&[b, c]), of(&[a, c]), of(&[a, b])];
        let mean = left.iter().sum::<f64>() / 3.0;
        let squares: f64 = left.iter().map(|x| (x - mean).powi(2)).sum();
        let found = compression([a, b, c]).standard_error.unwrap().get();
        assert!(
            found > 0.1 && (found - (squares * 2.0 / 3.0).sqrt()).abs() < 1e-15,
            "{found}"
        );
    }
}
