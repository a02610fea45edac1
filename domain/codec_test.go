package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Golden files are what the log holds for ever: a test that fails here means that stored events could no
// longer be read as they were written. With UPDATE_GOLDEN=1 missing files are written; existing ones never.
func TestEventsAreStoredAsTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, e := range forms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", "events", name+".json")
			data, err := Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) && os.Getenv("UPDATE_GOLDEN") == "1" {
				golden = append(slices.Clone(data), '\n')
				err = os.WriteFile(path, golden, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			golden = bytes.TrimSuffix(golden, []byte("\n"))
			if !bytes.Equal(data, golden) {
				t.Fatalf("encoded\n got %s\nwant %s", data, golden)
			}
			back, err := Decode(e.EventType(), SchemaVersion(e.EventType()), golden)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, e) {
				t.Fatalf("decoded\n got %+v\nwant %+v", back, e)
			}
		})
	}
}

func TestEveryEventTypeHasASampleWithEveryField(t *testing.T) {
	t.Parallel()
	sampled, lacking := make(map[string]bool), make(map[string]bool)
	for _, e := range samples() {
		sampled[e.EventType()] = true
		for _, field := range empty(e.EventType(), reflect.ValueOf(e)) {
			lacking[field] = true
		}
	}
	for name, e := range laterForms() {
		if kind, _, ok := strings.Cut(name, "."); !ok || kind != e.EventType() {
			t.Errorf("%s is the name of a %s", name, e.EventType())
		}
		for _, field := range empty(e.EventType(), reflect.ValueOf(e)) {
			t.Errorf("%s is empty in %s", field, name)
		}
		for field := range lacking {
			if strings.HasPrefix(field, e.EventType()+".") {
				delete(lacking, field)
			}
		}
	}
	for _, field := range neverFilled() {
		if !lacking[field] {
			t.Errorf("%s is filled", field)
		}
		delete(lacking, field)
	}
	for field := range lacking {
		t.Errorf("%s is empty in every sample", field)
	}
	declared := declaredTypes(t)
	for _, name := range declared {
		if !sampled[name] {
			t.Errorf("%s has no sample", name)
		}
	}
	wantEqual(t, len(declared), len(sampled))
	wantEqual(t, fmt.Sprint(slices.Sorted(slices.Values(EventTypes()))), fmt.Sprint(slices.Sorted(slices.Values(declared))))
	files, err := filepath.Glob(filepath.Join("testdata", "events", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); forms()[name] == nil {
			t.Errorf("%s is the golden file of no event", file)
		}
	}
}

// declaredTypes are the names that the EventType methods of this package return.
func declaredTypes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Name.Name != "EventType" || f.Recv == nil {
				continue
			}
			name, isIdent := f.Recv.List[0].Type.(*ast.Ident)
			returned, isReturn := f.Body.List[0].(*ast.ReturnStmt)
			if !isIdent || !isReturn {
				t.Fatalf("%s: an EventType is not a plain literal", file)
			}
			literal, isLiteral := returned.Results[0].(*ast.BasicLit)
			if !isLiteral || literal.Value != `"`+name.Name+`"` {
				t.Fatalf("%s: the EventType of %s is not its name", file, name.Name)
			}
			names = append(names, name.Name)
		}
	}
	return names
}

// empty lists the fields below a value that are zero.
func empty(path string, v reflect.Value) []string {
	if v.IsZero() {
		return []string{path}
	}
	var found []string
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			found = append(found, empty(path+"[]", v.Index(i))...)
		}
	case v.Kind() == reflect.Struct && v.Type().PkgPath() != "time":
		for i := range v.NumField() {
			found = append(found, empty(path+"."+v.Type().Field(i).Name, v.Field(i))...)
		}
	}
	return found
}

func TestDecoding(t *testing.T) {
	t.Parallel()
	t.Run("an unknown type says so", func(t *testing.T) {
		t.Parallel()
		_, err := Decode("TicketsEaten", 1, []byte(`{}`))
		wantEqual(t, errors.Is(err, ErrUnknownType), true)
	})
	t.Run("a newer schema version says so", func(t *testing.T) {
		t.Parallel()
		_, err := Decode("OrderPlaced", 2, []byte(`{}`))
		wantEqual(t, errors.Is(err, ErrSchemaVersion), true)
	})
	t.Run("broken data says so", func(t *testing.T) {
		t.Parallel()
		if _, err := Decode("OrderPlaced", 1, []byte(`{"orderId":`)); err == nil {
			t.Error("no error")
		}
	})
	t.Run("fields that a newer program added are ignored", func(t *testing.T) {
		t.Parallel()
		e, err := Decode("SalesPaused", 1, []byte(`{"showId":7,"totals":[],"mood":"bad"}`))
		if err != nil {
			t.Fatal(err)
		}
		paused, ok := e.(SalesPaused)
		wantEqual(t, ok && paused.ShowID == 7, true)
	})
	t.Run("what was sold before prices were told has none", func(t *testing.T) {
		t.Parallel()
		e, err := Decode("TicketsSold", 1, []byte(`{"showId":7,"members":[{"lines":[{"ticketTypeId":1,"quantity":2}]}],"totals":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		sold, ok := e.(TicketsSold)
		wantEqual(t, ok && sold.Members[0].Lines[0] == HeldLine{TicketTypeID: 1, Quantity: 2}, true)
	})
	t.Run("nothing is encoded of nothing", func(t *testing.T) {
		t.Parallel()
		if _, err := Encode(nil); err == nil {
			t.Error("no error")
		}
	})
}

// FuzzDecode: whatever the data, decoding does not panic, and what it accepts is stable from then on.
func FuzzDecode(f *testing.F) {
	var types []string
	all := forms()
	for i, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		data, err := Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		types = append(types, e.EventType())
		f.Add(i, data)
	}
	f.Fuzz(func(t *testing.T, kind int, data []byte) {
		name := types[uint(kind)%uint(len(types))]
		e, err := Decode(name, 1, data)
		if err != nil {
			return
		}
		once, err := Encode(e)
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		again, err := Decode(name, 1, once)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := Encode(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
		if !json.Valid(once) {
			t.Fatalf("not JSON: %s", once)
		}
		(&Show{}).Evolve(e)
		(&Order{}).Evolve(e)
		(&Payment{}).Evolve(e)
		(&Inbox{}).Evolve(e)
	})
}
