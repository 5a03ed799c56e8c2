pub mod diag;
pub mod facts;
pub mod quantity;
pub mod source;
pub mod syntax;
