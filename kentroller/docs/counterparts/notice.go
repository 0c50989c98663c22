// The notice of the tutorial with kubebuilder: in a project two files, api/v1/notice_types.go and internal/controller/notice_controller.go.
package notice

// count: imports
import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// count: kind

// NoticeSpec says what should be seen.
type NoticeSpec struct {
	// What should be seen.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Text string `json:"text"`
	// Until when; for ever, if it is absent.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// NoticeStatus is what became of a notice.
type NoticeStatus struct {
	// What the notice is and is not, for machines.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// The generation that this status judges.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// Notice is a text that should be seen until a time.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=nt
// +kubebuilder:printcolumn:name="Text",type=string,JSONPath=`.spec.text`
type Notice struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   NoticeSpec   `json:"spec,omitempty"`
	Status NoticeStatus `json:"status,omitempty"`
}

// NoticeList is a list of notices.
// +kubebuilder:object:root=true
type NoticeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Notice `json:"items"`
}

func init() {
	SchemeBuilder.Register(&Notice{}, &NoticeList{})
}

// count: rights

// +kubebuilder:rbac:groups=example.org,resources=notices,verbs=get;list;watch
// +kubebuilder:rbac:groups=example.org,resources=notices/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=example.org,resources=notices/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// count: controller

const namespace = "default"

var textsShown = prometheus.NewCounter(prometheus.CounterOpts{Name: "texts_shown_total", Help: "Texts that were shown"})

func init() {
	metrics.Registry.MustRegister(textsShown)
}

// NoticeReconciler keeps a ConfigMap for each notice until its time is over.
type NoticeReconciler struct {
	client.Client
	Scheme   *runtime.Scheme
	Recorder record.EventRecorder
}

// Reconcile makes the ConfigMap, or takes it away.
func (r *NoticeReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var notice Notice
	if err := r.Get(ctx, req.NamespacedName, &notice); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var old corev1.ConfigMap
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: notice.Name}, &old)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, err
	}
	shown := err == nil && metav1.IsControlledBy(&old, &notice)
	over := notice.Spec.Until != nil && !notice.Spec.Until.After(time.Now())
	if over && shown {
		err := r.Delete(ctx, &old, client.Preconditions{UID: &old.UID, ResourceVersion: &old.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
		r.Recorder.Event(&notice, corev1.EventTypeNormal, "Over", "the text was taken down")
	} else if !over && !shown {
		config := corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: notice.Name},
			Data:       map[string]string{"text": notice.Spec.Text},
		}
		if err := ctrl.SetControllerReference(&notice, &config, r.Scheme); err != nil {
			return ctrl.Result{}, err
		}
		if err := r.Create(ctx, &config); err != nil {
			r.Recorder.Event(&notice, corev1.EventTypeWarning, "Refused", "no ConfigMap: "+err.Error())
			return ctrl.Result{}, err
		}
		r.Recorder.Event(&notice, corev1.EventTypeNormal, "Shown", "the text is shown")
		textsShown.Inc()
	}
	if err := r.report(ctx, &notice, shown, over); err != nil {
		return ctrl.Result{}, err
	}
	if notice.Spec.Until != nil && !over {
		return ctrl.Result{RequeueAfter: time.Until(notice.Spec.Until.Time)}, nil
	}
	return ctrl.Result{}, nil
}

func (r *NoticeReconciler) report(ctx context.Context, notice *Notice, shown, over bool) error {
	before := notice.DeepCopy()
	notice.Status.ObservedGeneration = notice.Generation
	status := func(holds bool) metav1.ConditionStatus {
		if holds {
			return metav1.ConditionTrue
		}
		return metav1.ConditionFalse
	}
	reason := "Wanted"
	if over {
		reason = "Over"
	}
	for _, condition := range []metav1.Condition{
		{Type: "Shown", Status: status(shown), Reason: "Seen", Message: "Whether the ConfigMap is there."},
		{Type: "Ready", Status: status(over != shown), Reason: reason},
	} {
		condition.ObservedGeneration = notice.Generation
		meta.SetStatusCondition(&notice.Status.Conditions, condition)
	}
	if equality.Semantic.DeepEqual(before.Status, notice.Status) {
		return nil
	}
	return r.Status().Patch(ctx, notice, client.MergeFrom(before))
}

// SetupWithManager says what wakes the controller.
func (r *NoticeReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&Notice{}).Owns(&corev1.ConfigMap{}).Complete(r)
}
