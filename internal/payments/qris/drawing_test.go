package qris_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"image/png"
	"slices"
	"strconv"
	"strings"
	"testing"

	"boxoffice/internal/payments/qris"
)

func TestDraw(t *testing.T) {
	t.Parallel()
	for _, reference := range []string{"P", "PAY-20250205-338aa78d-1", strings.Repeat("long", 20)} {
		t.Run("both pictures carry a code for "+reference, func(t *testing.T) {
			t.Parallel()
			content, err := qris.QRIS(merchant(), 300_000, reference)
			if err != nil {
				t.Fatal(err)
			}
			drawing, err := qris.Draw(content)
			if err != nil {
				t.Fatal(err)
			}
			picture, err := drawing.PNG(4 * drawing.Size)
			if err != nil {
				t.Fatal(err)
			}
			for name, modules := range map[string][][]bool{
				"PNG": modulesOfPNG(t, picture, drawing.Size),
				"SVG": modulesOfSVG(t, drawing.SVG()),
			} {
				if read, err := readQR(modules); err != nil || read != content {
					t.Errorf("%s reads %q (%v), want %q", name, read, err, content)
				}
			}
		})
	}

	t.Run("a picture is never larger than the limit", func(t *testing.T) {
		t.Parallel()
		drawing, err := qris.Draw("x")
		if err != nil {
			t.Fatal(err)
		}
		picture, err := drawing.PNG(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		if config, err := png.DecodeConfig(bytes.NewReader(picture)); err != nil || config.Width != qris.MaxPixels {
			t.Errorf("width %d (%v), want %d", config.Width, err, qris.MaxPixels)
		}
	})

	t.Run("too much content is refused", func(t *testing.T) {
		t.Parallel()
		if _, err := qris.Draw(strings.Repeat("x", 5_000)); err == nil {
			t.Error("5,000 characters were drawn")
		}
	})
}

func modulesOfPNG(t *testing.T, picture []byte, size int) [][]bool {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	scale := img.Bounds().Dx() / size
	modules := square(size)
	for y := range size {
		for x := range size {
			gray := color.GrayModel.Convert(img.At(x*scale+scale/2, y*scale+scale/2)).(color.Gray)
			modules[y][x] = gray.Y < 128
		}
	}
	return modules
}

func modulesOfSVG(t *testing.T, document []byte) [][]bool {
	t.Helper()
	var svg struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(document, &svg); err != nil {
		t.Fatal(err)
	}
	box := strings.Fields(svg.ViewBox)
	size, err := strconv.Atoi(box[2])
	if err != nil || len(svg.Paths) != 2 || svg.Paths[1].Fill != "#000" {
		t.Fatalf("picture %s", document)
	}
	modules := square(size)
	for run := range strings.SplitSeq(svg.Paths[1].D, "z") {
		var x, y, width, back int
		if run == "" {
			continue
		}
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1H%d", &x, &y, &width, &back); err != nil || back != x {
			t.Fatalf("run %q: %v", run, err)
		}
		for i := range width {
			modules[y][x+i] = true
		}
	}
	return modules
}

func square(size int) [][]bool {
	modules := make([][]bool, size)
	for i := range modules {
		modules[i] = make([]bool, size)
	}
	return modules
}

// trim takes the quiet zone away: all light rows and columns around the symbol.
func trim(modules [][]bool) [][]bool {
	dark := func(row []bool) bool { return slices.Contains(row, true) }
	first := slices.IndexFunc(modules, dark)
	size := len(modules) - 2*first
	trimmed := make([][]bool, size)
	for y := range trimmed {
		trimmed[y] = modules[first+y][first : first+size]
	}
	return trimmed
}
