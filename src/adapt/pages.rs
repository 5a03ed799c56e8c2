//! The texts that one run is read from: the run file, and the words of the command line that come after it.
//!
//! They are numbered through, as if the second stood below the first, so that one span finds its place in either.

use crate::source::{Place, SourceFile, SourceId, Sources, Span};

/// The texts of a run, in the order in which the later overrides the earlier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages<'a> {
    sources: &'a Sources,
    /// The run file, or the command where there is none.
    pub(super) first: SourceId,
    second: Option<SourceId>,
}

impl<'a> Pages<'a> {
    /// A run that is read from one text, and perhaps overridden by another.
    pub(super) fn new(sources: &'a Sources, first: SourceId, second: Option<SourceId>) -> Self {
        Pages { sources, first, second }
    }

    /// The run file.
    pub(super) fn file(&self) -> &'a SourceFile {
        self.sources.get(self.first)
    }

    /// What the spans of the second text are larger by.
    pub(super) fn shift(&self) -> usize {
        // One more, so that the end of the first is not the start of the second.
        self.file().text().len() + 1
    }

    /// The place of a span.
    pub(super) fn place(&self, span: Span) -> Place {
        let shift = self.shift();
        match self.second {
            Some(source) if span.start >= shift => Place {
                source,
                span: Span::new(span.start - shift, span.end - shift),
            },
            _ => Place {
                source: self.first,
                span,
            },
        }
    }

    /// The text under a span.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        let place = self.place(span);
        self.sources.get(place.source).slice(place.span)
    }

    /// The end of the line on which an offset lies, and never before it.
    pub(super) fn end_of_line(&self, offset: usize) -> Place {
        let Place { source, span } = self.place(Span::new(offset, offset));
        let file = self.sources.get(source);
        let end = file.line_span(file.line(span.start)).end.max(span.start);
        Place {
            source,
            span: Span::new(end, end),
        }
    }
}
