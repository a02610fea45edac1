package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/internal/httpapi"
)

// docsView is all that the template of /docs is filled with.
type docsView struct {
	API      *httpapi.OpenAPI
	URL      string
	Groups   []docsGroup
	Schemas  []docsSchema
	Security httpapi.Ordered[httpapi.APISecurity]
}

// docsGroup are the operations under one tag.
type docsGroup struct {
	httpapi.APITag
	ID         string
	Operations []docsOperation
}

// docsOperation is one route.
type docsOperation struct {
	*httpapi.APIOperation
	Method, Path string
	Who          string
	Parameters   []docsParameter
	Bodies       []docsMedia
	Answers      []docsAnswer
	Curl         string
}

type docsParameter struct {
	httpapi.APIParameter
	Type docsType
}

// docsMedia is a body in one content type.
type docsMedia struct {
	ContentType string
	Type        docsType
	Fields      []docsField // of a schema that has no name
	Examples    []docsExample
}

type docsExample struct{ Summary, Text string }

type docsAnswer struct {
	Status      string
	Description string
	Headers     []string
	Media       []docsMedia
}

func newDocsView(api *httpapi.OpenAPI, url string) docsView {
	view := docsView{API: api, URL: url, Security: api.Components.SecuritySchemes}
	for _, tag := range api.Tags {
		group := docsGroup{APITag: tag, ID: anchor(tag.Name)}
		for _, path := range api.Paths {
			for _, operation := range path.Value.Operations() {
				if len(operation.Value.Tags) > 0 && operation.Value.Tags[0] == tag.Name {
					group.Operations = append(group.Operations, newDocsOperation(api, path, operation, url))
				}
			}
		}
		view.Groups = append(view.Groups, group)
	}
	for _, schema := range api.Components.Schemas {
		view.Schemas = append(view.Schemas, docsSchema{
			Name: schema.Name, Description: schema.Value.Description, Type: typeOf(schema.Value), Fields: fieldsOf(schema.Value, ""),
		})
	}
	return view
}

func newDocsOperation(api *httpapi.OpenAPI, path httpapi.Named[httpapi.APIPath], operation httpapi.Named[*httpapi.APIOperation], url string) docsOperation {
	o := docsOperation{APIOperation: operation.Value, Method: operation.Name, Path: path.Name, Who: whoOf(operation.Value.Security)}
	for _, parameters := range [][]httpapi.APIParameter{path.Value.Parameters, operation.Value.Parameters} {
		for _, p := range parameters {
			p = api.Parameter(p)
			o.Parameters = append(o.Parameters, docsParameter{p, typeOf(p.Schema)})
		}
	}
	if body := operation.Value.RequestBody; body != nil {
		o.Bodies = mediaOf(body.Content)
	}
	for _, answer := range operation.Value.Responses {
		response := api.Response(answer.Value)
		one := docsAnswer{Status: answer.Name, Description: response.Description, Media: mediaOf(response.Content)}
		for _, header := range response.Headers {
			one.Headers = append(one.Headers, header.Name)
		}
		o.Answers = append(o.Answers, one)
	}
	o.Curl = curl(o, url)
	return o
}

func mediaOf(content httpapi.Ordered[httpapi.APIMedia]) []docsMedia {
	var all []docsMedia
	for _, media := range content {
		one := docsMedia{ContentType: media.Name, Type: typeOf(media.Value.Schema)}
		if media.Value.Schema.Ref == "" {
			one.Fields = fieldsOf(media.Value.Schema, "")
		}
		for _, event := range media.Value.Events {
			one.Type.Refs = append(one.Type.Refs, httpapi.RefName(event.Value.Ref))
		}
		if media.Value.Example != nil {
			one.Examples = append(one.Examples, docsExample{"", pretty(media.Value.Example)})
		}
		for _, example := range media.Value.Examples {
			one.Examples = append(one.Examples, docsExample{example.Value.Summary, pretty(example.Value.Value)})
		}
		all = append(all, one)
	}
	return all
}

// pretty writes an example for people; one that is a text stands as it is.
func pretty(value jsontext.Value) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var out bytes.Buffer
	if err := json.Indent(&out, value, "", "  "); err != nil {
		return string(value)
	}
	return out.String()
}

// whoOf says in words who may call.
func whoOf(security []map[string][]string) string {
	var callers []string
	anyone := len(security) == 0
	for _, way := range security {
		roles, operator := way["operator"]
		_, buyer := way["orderToken"]
		_, channel := way["channel"]
		_, gateway := way["webhookSignature"]
		switch {
		case len(way) == 0:
			anyone = true
		case operator:
			callers = append(callers, "operators ("+strings.Join(roles, ", ")+")")
		case buyer:
			callers = append(callers, "the buyer with the order's token")
		case channel:
			callers = append(callers, "channels, once channel keys are configured")
		case gateway:
			callers = append(callers, "the payment gateway, by its signature")
		}
	}
	if anyone {
		callers = append([]string{"anyone"}, callers...)
	}
	return strings.Join(callers, "; ")
}

// curl is a command that calls the route, with the document's own examples.
func curl(o docsOperation, url string) string {
	line := "curl -i"
	if o.Method != http.MethodGet {
		line += " -X " + o.Method
	}
	path, headers := o.Path, ""
	for _, p := range o.Parameters {
		example := "VALUE"
		if p.Example != nil {
			example = pretty(p.Example)
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", example)
		case p.In == "header" && p.Required:
			headers += " \\\n  -H '" + p.Name + ": " + example + "'"
		}
	}
	for _, way := range o.Security[:min(len(o.Security), 1)] {
		for _, key := range []struct{ scheme, header string }{
			{"operator", "Authorization: Bearer KEY"},
			{"channel", "Authorization: Bearer KEY"},
			{"orderToken", "Order-Token: TOKEN"},
			{"webhookId", "webhook-id: ID"},
			{"webhookTimestamp", "webhook-timestamp: SECONDS"},
			{"webhookSignature", "webhook-signature: v1,SIGNATURE"},
		} {
			if _, ok := way[key.scheme]; ok {
				headers += " \\\n  -H '" + key.header + "'"
			}
		}
	}
	line += " '" + url + path + "'" + headers
	if len(o.Bodies) > 0 && len(o.Bodies[0].Examples) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(o.Bodies[0].Examples[0].Text)); err == nil {
			line += " \\\n  -H 'Content-Type: application/json' \\\n  -d '" + strings.ReplaceAll(compact.String(), "'", `'\''`) + "'"
		}
	}
	return line
}

func anchor(name string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c
		}
		return '-'
	}, strings.ToLower(name)), "-")
}
