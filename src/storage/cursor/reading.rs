//! A view at work: the segment that a walk is in is looked up once, not for each of its entries.

use super::*;

/// A span that is being read.
#[derive(Clone, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) span: &'a Span,
    here: Option<Here<'a>>,
}

/// A segment of the span, and what the span has of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    number: usize,
    pub(super) segment: &'a Segment,
    pub(super) bytes: &'a [u8],
    /// The end of what may be read. Fewer bytes are there only of a segment with damage.
    pub(super) limit: u64,
    pub(super) skip_damage: bool,
    /// No segment follows it in the span.
    pub(super) is_last: bool,
}

impl Span {
    /// To read it from here on. Only a span that does not change can be read.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { span: self, here: None }
    }
}

impl<'a> Reading<'a> {
    /// The segment with this number; `None` behind the last one.
    ///
    /// # Errors
    /// As [`Segment::region`].
    #[inline]
    pub(super) fn here(&mut self, number: usize) -> Result<Option<&Here<'a>>> {
        if self.here.as_ref().is_none_or(|here| here.number != number) && !self.go(number)? {
            return Ok(None);
        }
        Ok(self.here.as_ref())
    }

    /// The same segment, if it was the last one that was asked for.
    #[inline(always)]
    pub(super) fn known(&self, number: usize) -> Option<&Here<'a>> {
        self.here.as_ref().filter(|here| here.number == number)
    }

    fn go(&mut self, number: usize) -> Result<bool> {
        let span = self.span;
        let Some(segment) = span.segments.get(number) else {
            return Ok(false);
        };
        let (limit, region) = (span.limit(segment), segment.region()?);
        let bytes = region.slice(0, limit).or_else(|| region.slice(0, region.frozen()));
        let bytes = bytes.unwrap_or_default();
        let (skip_damage, is_last) = (span.skip_damage, number + 1 >= span.segments.len());
        self.here = Some(Here { number, segment, bytes, limit, skip_damage, is_last });
        Ok(true)
    }

    /// The bytes of a place's field list.
    #[inline]
    pub(crate) fn list(&self, place: &Place) -> &'a [u8] {
        match &self.here {
            Some(here) if here.number == place.segment as usize => {
                let start = place.start as usize;
                here.bytes.get(start..start + place.len as usize).unwrap_or_default()
            }
            _ => self.span.list(place),
        }
    }
}
