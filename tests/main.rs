//! The one integration test binary.

mod it {
    mod properties;
}
