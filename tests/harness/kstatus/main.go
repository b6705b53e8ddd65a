// Reads a list of objects as JSON and writes what Flux's kstatus says of each.
package main

import (
	"io"
	"log"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	var objects []map[string]any
	if err := json.Unmarshal(text, &objects); err != nil {
		log.Fatal(err)
	}
	said := []string{}
	for _, object := range objects {
		result, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			log.Fatal(err)
		}
		said = append(said, string(result.Status))
	}
	written, err := json.Marshal(said)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := os.Stdout.Write(written); err != nil {
		log.Fatal(err)
	}
}
