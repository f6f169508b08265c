package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/invopop/jsonschema"
)

// schema describes for editors how a value is written.
type schema = jsonschema.Schema

// Schema returns the JSON Schema of a configuration, for editors. It is a
// little more lenient than Parse, which also compares values with each other.
func Schema() []byte {
	root := object(configFields)
	root.Version = jsonschema.Version
	root.Title = "Configuration of Strongroom"
	perKind := make([]*schema, len(kinds))
	for i, k := range kinds {
		s := object(slices.Concat(commonFields, k.fields))
		s.Title, s.Description = k.name, k.doc
		s.Properties.Set("kind", &schema{Const: k.name, Description: commonFields[0].doc})
		perKind[i] = &s
	}
	all, _ := root.Properties.Get("sources")
	all.Type = "object"
	all.PropertyNames = &safeName.schema
	all.AdditionalProperties = &schema{OneOf: perKind}

	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(&root); err != nil {
		panic(fmt.Sprintf("the configuration's schema cannot be encoded: %v", err)) // it has no user's data
	}
	return b.Bytes()
}

// object returns the schema of a mapping with these keys and no others.
func object[S any](fields []field[S]) schema {
	s := schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, f := range fields {
		one := f.schema
		one.Description, one.Default = f.doc, f.byItself
		s.Properties.Set(f.name, &one)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }
