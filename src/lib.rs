pub mod diag;
pub mod facts;
pub mod ir;
pub mod quantity;
pub mod sema;
pub mod source;
pub mod syntax;
