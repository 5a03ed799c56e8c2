use ftrisk::{source::Sources, diag::render::{render, Style}};
fn main() {
    for f in std::env::args().skip(1) {
        let t = std::fs::read_to_string(&f).unwrap();
        let mut s = Sources::default();
        let id = s.add(f, t);
        let t0=std::time::Instant::now();
        let p = ftrisk::sema::compile(id, &s);
        let dt=t0.elapsed();
        for d in p.diagnostics.iter().take(40) { println!("{}", render(d, &s, Style{color:false,width:120})); }
        println!("{:?} lines, {} diagnostics {:?}", p.policy.as_ref().map(|p| p.lines.len()), p.diagnostics.len(), dt);
    }
}
