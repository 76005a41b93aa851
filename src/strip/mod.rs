//! One drawing of a strip as plain shapes, written as SVG, PNG or JSON.
