//! Running code with the vector instructions that this processor has.

/// Runs `work`, which should be inlined, compiled for AVX2 where the processor has it. Results are the same either way: nothing
/// here lets products and sums be fused.
#[inline(always)]
pub(crate) fn widest<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
        fn wide<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt");
        if has {
            // Sound: the processor was just asked for each of the features.
            #[allow(unsafe_code)]
            return unsafe { wide(work) };
        }
    }
    work()
}
