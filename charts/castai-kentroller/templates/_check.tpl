{{- /* How much of one name the other has, of a thousand: its letters, and its pairs of neighbouring letters twice. */ -}}
{{- define "castai-kentroller.part" -}}
{{- $one := lower .one }}{{ $other := lower .other }}{{ $shared := 0 }}
{{- range $at := until (len $one) }}
{{- if contains (substr $at (add $at 1 | int) $one) $other }}{{ $shared = add $shared 1 }}{{ end }}
{{- $pair := substr $at (add $at 2 | int) $one }}
{{- if and (eq (len $pair) 2) (contains $pair $other) }}{{ $shared = add $shared 2 }}{{ end }}
{{- end }}
{{- div (mul 1000 $shared) (sub (mul 3 (len $one)) 2) }}
{{- end }}

{{- /* The name among `names` that is most like `name`. */ -}}
{{- define "castai-kentroller.nearest" -}}
{{- $best := "" }}{{ $most := -1 }}
{{- range $name := .names }}
{{- $there := include "castai-kentroller.part" (dict "one" $.name "other" $name) | int }}
{{- $back := include "castai-kentroller.part" (dict "one" $name "other" $.name) | int }}
{{- $likeness := mul $there $back | int }}
{{- if gt $likeness $most }}{{ $best = $name }}{{ $most = $likeness }}{{ end }}
{{- end }}
{{- $best }}
{{- end }}

{{- /* A line for each name in `values` that is not in `known`. */ -}}
{{- define "castai-kentroller.unknown" -}}
{{- range $name, $value := .values }}
{{- $path := list $.path $name | compact | join "." }}
{{- $known := get $.known $name }}
{{- if and (not $known) (not (hasKey $.known "*")) }}
  {{ $path }} is no value of this chart; did you mean {{ list $.path (include "castai-kentroller.nearest" (dict "name" $name "names" (keys $.known | sortAlpha))) | compact | join "." }}?
{{- else if and (kindIs "map" $known) (kindIs "map" $value) }}
{{- include "castai-kentroller.unknown" (dict "values" $value "known" $known "path" $path) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A line for each value that somebody has set and nothing reads yet. */ -}}
{{- define "castai-kentroller.unread" -}}
{{- $values := .Values | toJson | fromJson }}
{{- range include "castai-kentroller.later" . | fromJsonArray }}
{{- $value := $values }}
{{- range $step := .path }}{{ $value = ternary (get (ternary $value dict (kindIs "map" $value)) $step) nil (and (kindIs "map" $value) (hasKey (ternary $value dict (kindIs "map" $value)) $step)) }}{{ end }}
{{- $off := and (eq (toJson $value) "false") (eq (toJson .default) "\"off\"") }}
{{- if not (or (kindIs "invalid" $value) $off (eq (toJson $value) (toJson .default))) }}
  {{ join "." .path }}
{{- end }}
{{- end }}
{{- end }}
